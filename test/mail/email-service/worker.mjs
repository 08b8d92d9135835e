import { WorkerEntrypoint } from 'cloudflare:workers'

/** Stands where Cloudflare's Email Service stands: refuses with the code that the recipient's name says, or never answers. */
// biome-ignore lint/style/noDefaultExport: the runtime binds the default export.
export default class extends WorkerEntrypoint {
  fetch() {
    return new Response(null, { status: 404 })
  }

  async send({ to, text }) {
    const [name] = to.split('@')
    if (name === 'nobody') return new Promise(() => undefined)
    throw Object.assign(new Error(`cannot send ${text} to ${to}`), name === 'plain' ? {} : { code: name.toUpperCase() })
  }
}
