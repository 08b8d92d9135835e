import Argon2, { Argon2Type, Argon2Version } from '@phi-ag/argon2'
import argon2Wasm from '@phi-ag/argon2/argon2.wasm'
import { Hono } from 'hono'

/** What the product is measured against: the least that could do each job on the same runtime and the same kind of D1. */
const app = new Hono<{ Bindings: { readonly DB: D1Database } }>()
let argon2: Argon2 | undefined

app.get('/empty', (c) => c.json({ ok: true }))

app.post('/hash', (c) => {
  argon2 ??= new Argon2(new WebAssembly.Instance(argon2Wasm))
  argon2.hash('correct horse battery staple', {
    hashLength: 32,
    memoryCost: 19_456,
    timeCost: 2,
    parallelism: 1,
    type: Argon2Type.Argon2id,
    version: Argon2Version.Version13,
  })
  return c.json({ ok: true })
})

app.get('/read', async (c) => c.json(await c.env.DB.prepare('SELECT * FROM counters WHERE id = ?').bind('one').first()))

app.post('/write', async (c) =>
  c.json(await c.env.DB.prepare('UPDATE counters SET n = n + 1 WHERE id = ? AND n >= 0 RETURNING *').bind('one').first()),
)

app.post('/prepare', async (c) => {
  await c.env.DB.batch([
    c.env.DB.prepare('CREATE TABLE IF NOT EXISTS counters (id TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT'),
    c.env.DB.prepare("INSERT OR IGNORE INTO counters VALUES ('one', 0)"),
  ])
  return c.json({ ok: true })
})

export default app
