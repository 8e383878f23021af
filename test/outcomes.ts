import type { Outcome, PhotoId } from '@tintype/lib/photo/record.ts'
import type { Queue } from '@tintype/lib/queue/index.ts'

/** The outcomes that a queue has recorded. */
export async function* everyOutcome(
  queue: Pick<Queue, 'outcomesAfter'>,
): AsyncGenerator<{ photo: PhotoId; outcome: Outcome }> {
  for (let after = 0; ; ) {
    const rows = await queue.outcomesAfter(after, 500)
    yield* rows.map(({ photo, outcome }) => ({ photo, outcome }))
    const last = rows.at(-1)
    if (!last) return
    after = last.seq
  }
}
