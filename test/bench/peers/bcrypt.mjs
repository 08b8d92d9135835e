import bcrypt from 'bcryptjs'

let stored

/** The check that melody-auth makes at a sign-in, alone. A Worker draws no salt before its first request. */
export default {
  fetch() {
    stored ??= bcrypt.hashSync('correct horse battery staple', 12)
    return Response.json({ ok: bcrypt.compareSync('correct horse battery staple', stored) })
  },
}
