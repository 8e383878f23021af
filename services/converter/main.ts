import { hostname } from 'node:os'
import { runPhotoService } from '@tintype/lib/photo/run-photo-service.ts'
import { startChild } from './children.ts'
import { startWorker } from './worker.ts'

await runPhotoService(
  'converter',
  process.env,
  ['CHILD_MEMORY_BYTES', 'CONVERTER_ADMIN_PORT', 'CONVERTER_SLOTS', 'CONVERT_SECONDS', 'THUMBNAILS'],
  async (tools, config) => {
    const setup = { sizes: config.THUMBNAILS, maxPixels: config.MAX_PIXELS }
    const bounds = { deadlineMs: config.CONVERT_SECONDS * 1000, memoryBytes: config.CHILD_MEMORY_BYTES }
    tools.metrics.set('tintype_conversion_deadline_seconds', {}, config.CONVERT_SECONDS)
    const worker = await startWorker(tools, {
      // The slots of two machines with the same INSTANCE must both count.
      id: `converter.${config.INSTANCE}@${hostname()}`,
      slots: config.CONVERTER_SLOTS,
      startChild: () => startChild(setup, bounds, process.env),
    })
    return {
      adminPort: config.CONVERTER_ADMIN_PORT,
      admin: { notReady: worker.missing, stalled: worker.stalled },
      stop: worker.stop,
    }
  },
)
