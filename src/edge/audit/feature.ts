import type { Feature } from '../http/feature.ts'

export const audit: Feature = { name: 'audit', mount: () => undefined }
