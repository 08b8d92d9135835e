import { client } from '../browser/account.ts'
import { asked } from '../browser/asked.ts'
import { byId, show } from '../browser/dom.ts'
import { bindMailedSteps } from '../browser/mailed-steps.ts'
import { nextPage } from '../browser/next-page.ts'
import { enter } from '../browser/second-factor.ts'

const WHAT = 'magic'
const next = nextPage(location.search)

// A link that a stranger asked for would sign its reader in as the stranger.
const isOwn = asked(WHAT) !== undefined
show(byId('link-own'), isOwn)
show(byId('link-foreign'), !isOwn)

bindMailedSteps({
  what: WHAT,
  async ask({ email = '' }) {
    const { magicId: id, expiresAt } = await client.askMagicLink({ body: { email } })
    return { id, expiresAt }
  },
  async useCode(magicId, { code = '' }) {
    const { factorRequired } = await client.useMagicLink({ body: { magicId, code } })
    enter(factorRequired, next)
  },
  async useLink(token) {
    const { factorRequired } = await client.useMagicLink({ body: { token } })
    enter(factorRequired, next)
  },
})
