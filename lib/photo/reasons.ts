import type { FailureReason } from './record.ts'

/** Reasons shown to the person for failures other than bad bytes. */
export const reasons = {
  timeout:
    'This photo takes longer to convert than we allow. Make it smaller or save it as a plain JPEG, then upload it again.',
  memory:
    'This photo needs more memory to convert than we allow. Make it smaller or save it as a plain JPEG, then upload it again.',
  crash:
    'Our converter stopped at this photo each time it was tried. Save it again as JPEG or PNG, then upload it again.',
  storage:
    'We could not read your photo or store its thumbnail. That is our fault; upload it again a little later.',
} as const satisfies Partial<Record<FailureReason['code'], string>>

export const reasonFor = (code: keyof typeof reasons): FailureReason => ({ code, detail: reasons[code] })
