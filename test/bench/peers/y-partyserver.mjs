import { routePartykitRequest } from 'partyserver'
import { YServer } from 'y-partyserver'

/** As its documentation sets it up. It stores nothing unless told how, and it is not told. */
export class Documents extends YServer {
  static options = { hibernate: true }
}

export default {
  fetch: async (request, env) => (await routePartykitRequest(request, env)) ?? new Response(null, { status: 404 }),
}
