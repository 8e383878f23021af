/** What the probe uploads: a real JPEG of 64 × 48 pixels, 443 bytes, made once with sharp from a colour gradient. */
export const picture = Buffer.from(
  '/9j/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//' +
    '2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAAR' +
    'CAAwAEADASIAAhEBAxEB/8QAFwABAQEBAAAAAAAAAAAAAAAAAwQFBv/EABcQAAMBAAAAAAAAAAAAAAAAAAACA2H/xAAXAQEB' +
    'AQEAAAAAAAAAAAAAAAADBQIH/8QAFhEBAQEAAAAAAAAAAAAAAAAAAwAC/9oADAMBAAIRAxEAPwDgllgyyKVlgqywt6SElp1l' +
    'gyywoWWDLLANJUiWnWWDLLChZYMssB0lSJaZZYMssKVlgyywHSVIlsRZYMssKFlgyyw3pLmxLTrLBllhQshllgOkqRLTrLBV' +
    'lhSssGWWA6SpEtMssGWWFKywZZYDpKkS2IssGWWFCywZZYb0lzUlp1lgyywoWQyywHSVMlp1lgqywpWWDLLAdJUiWmWQyywp' +
    'WWDLLAdJUiW//9k=',
  'base64',
)

const signatures = [
  { type: 'image/jpeg', at: 0, bytes: 'ffd8ff' },
  { type: 'image/png', at: 0, bytes: '89504e470d0a1a0a' },
  { type: 'image/webp', at: 8, bytes: '57454250' },
  { type: 'image/avif', at: 4, bytes: '66747970' },
] as const

/** Whether a body is the picture its content type says: an error page sent as 200 is no thumbnail. */
export function isPicture(contentType: string | undefined, body: Buffer): boolean {
  const signature = signatures.find(({ type }) => contentType?.startsWith(type))
  if (!signature) return false
  const { at, bytes } = signature
  return body.toString('hex', at, at + bytes.length / 2) === bytes
}
