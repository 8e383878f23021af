import { vi } from 'vitest'

// Files share a process, in which packages stay loaded. Each evaluates our modules anew: none sees what another counted.
vi.resetModules()
