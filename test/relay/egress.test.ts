import { createSocket, type Socket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import { checkForwarded, createResolver, type EgressPolicy, isAddressAllowed, ownAddresses, resolveTarget } from '../../src/relay/egress.ts'
import { Refusal } from '../../src/relay/refusal.ts'
import { execRequest, startTestRelay, type Target } from './harness.ts'

const policy: EgressPolicy = { allowTargets: [], allowCidrs: [], denyCidrs: [], allowPorts: [22] }
const none: ReadonlySet<string> = new Set()
const isAllowed = (address: string, more: Partial<EgressPolicy> = {}): boolean => isAddressAllowed(address, { ...policy, ...more }, none)
const outcome = async (host: string, answers: string[] | undefined, port = 22): Promise<string> => {
  try {
    return (await resolveTarget({ host, port }, policy, async () => answers ?? [])).join()
  } catch (error) {
    return error instanceof Refusal ? error.code : String(error)
  }
}

describe('addresses the relay does not dial', () => {
  test.each([
    ['loopback', ['127.0.0.1', '127.255.255.254', '::1']],
    ['unspecified', ['0.0.0.0', '0.1.2.3', '::']],
    ['private', ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd00:ec2::254']],
    ['link-local', ['169.254.169.254', 'fe80::1', 'febf::1']],
    ['carrier-grade NAT', ['100.64.0.1', '100.100.100.200', '100.127.255.255']],
    [
      'protocol, documentation and benchmarking',
      ['192.0.0.8', '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '2001:2::1', '3fff::1'],
    ],
    ['multicast and broadcast', ['224.0.0.1', '239.255.255.255', '255.255.255.255', 'ff02::1']],
    ['reserved', ['240.0.0.1', '192.88.99.1', 'fec0::1', '5f00::1', '100::1', '4000::1']],
    ['IPv4 mapped into IPv6', ['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1', '::ffff:169.254.169.254']],
    [
      'IPv4 embedded in IPv6',
      ['::127.0.0.1', '::7f00:1', '64:ff9b::7f00:1', '64:ff9b::a00:1', '64:ff9b:1::1', '2002:7f00:1::', '2002:a00:1::', '2001::1'],
    ],
    ['nonsense', ['', 'a', '1.2.3', '127.1', '2130706433', '0x7f.1', '0177.0.0.1', '1.2.3.4.5', 'fe80::1%eth0', '8.8.8.8%1']],
  ])('%s', (_, addresses) => {
    expect(addresses.filter((address) => isAllowed(address))).toEqual([])
  })

  test('public unicast is dialled', () => {
    expect(
      ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8'].filter((address) => !isAllowed(address)),
    ).toEqual([])
  })

  test('operators allow networks, and what they deny stays denied', () => {
    expect(isAllowed('10.1.2.3', { allowCidrs: ['10.1.0.0/16'] })).toBe(true)
    expect(isAllowed('::ffff:10.1.2.3', { allowCidrs: ['10.1.0.0/16'] })).toBe(true)
    expect(isAllowed('10.2.0.1', { allowCidrs: ['10.1.0.0/16'] })).toBe(false)
    expect(isAllowed('fd00::1', { allowCidrs: ['fd00::/8'] })).toBe(true)
    expect(isAllowed('10.1.2.3', { allowCidrs: ['10.1.0.0/16'], denyCidrs: ['10.1.2.0/24'] })).toBe(false)
    expect(isAllowed('8.8.8.8', { denyCidrs: ['8.8.8.0/24'] })).toBe(false)
  })

  test('the relay itself is no target', () => {
    expect(isAddressAllowed('8.8.8.8', policy, new Set(['8.8.8.8']))).toBe(false)
    const real = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
    expect([...ownAddresses()]).toEqual(
      expect.arrayContaining(real.filter(({ family }) => family === 'IPv4').map(({ address }) => address)),
    )
  })
})

test('behind a jump host private addresses are reached, and the metadata services of clouds are not', () => {
  const forwarded = (host: string, more: Partial<EgressPolicy> = {}) => {
    try {
      return checkForwarded({ host, port: 22 }, { ...policy, ...more })[0]
    } catch (error) {
      return error instanceof Refusal ? error.code : String(error)
    }
  }
  for (const host of ['10.0.0.1', '100.64.0.1', 'fd00::7', 'db.internal']) expect(forwarded(host)).toBe(host)
  for (const host of ['169.254.169.254', 'fd00:ec2::254', 'fd00:0ec2:0:0:0:0:0:254', '100.100.100.200', '127.0.0.1', 'localhost'])
    expect([host, forwarded(host)]).toEqual([host, 'target-forbidden'])
  expect(forwarded('fd00:ec2::254', { allowCidrs: ['fd00:ec2::254/128'] })).toBe('fd00:ec2::254')
})

describe('targets', () => {
  test('a name stands for the addresses of one resolution', async () => {
    expect(await outcome('web.example', ['8.8.8.8', '2606:4700::1111'])).toBe('8.8.8.8,2606:4700::1111')
    expect(await outcome('8.8.8.8', undefined)).toBe('8.8.8.8')
    expect(await outcome('nowhere.example', [])).toBe('target-unresolved')
  })

  test('one forbidden address refuses the whole answer', async () => {
    expect(await outcome('mixed.example', ['8.8.8.8', '127.0.0.1'])).toBe('target-forbidden')
    expect(await outcome('mixed.example', ['8.8.8.8', 'fd00::1'])).toBe('target-forbidden')
    expect(
      await outcome(
        'many.example',
        Array.from({ length: 17 }, (_, i) => `8.8.8.${i}`),
      ),
    ).toBe('target-forbidden')
  })

  test('numbers that the C library would read as addresses are not even resolved', async () => {
    for (const host of ['2130706433', '0x7f.1', '127.1', '0x7f000001', '0177.0.0.1', '017700000001', '1.2.3.0x4', '127.0.0.1.5']) {
      expect([host, await outcome(host, ['8.8.8.8'])]).toEqual([host, 'target-forbidden'])
    }
  })

  test('ports are an allow-list', async () => {
    expect(await outcome('web.example', ['8.8.8.8'], 25)).toBe('target-forbidden')
    expect(await outcome('web.example', ['8.8.8.8'], 6379)).toBe('target-forbidden')
  })

  test('an exact target opens its own address and port and nothing beside them', async () => {
    const allowTargets = [
      { address: '127.0.0.1', port: 2222 },
      { address: 'fd00::7', port: 22 },
    ]
    const to = async (host: string, port: number, more: Partial<EgressPolicy> = {}) => {
      try {
        return await resolveTarget({ host, port }, { ...policy, allowTargets, ...more }, async () => [])
      } catch (error) {
        return error instanceof Refusal ? error.code : error
      }
    }
    expect(await to('127.0.0.1', 2222)).toEqual(['127.0.0.1'])
    expect(await to('::ffff:127.0.0.1', 2222)).toEqual(['::ffff:127.0.0.1'])
    expect(await to('fd00:0:0:0:0:0:0:7', 22)).toEqual(['fd00:0:0:0:0:0:0:7'])
    expect(await to('127.0.0.1', 22)).toBe('target-forbidden')
    expect(await to('127.0.0.2', 2222)).toBe('target-forbidden')
    expect(await to('8.8.8.8', 2222)).toBe('target-forbidden')
    expect(await to('8.8.8.8', 22)).toEqual(['8.8.8.8'])
    expect(await to('127.0.0.1', 2222, { denyCidrs: ['127.0.0.0/8'] })).toBe('target-forbidden')
  })

  test('loopback is refused through the whole relay, and no packet is sent', async () => {
    const relay = await startTestRelay([22], { RELAY_ALLOW_CIDRS: '' })
    const hosts = ['127.0.0.1', '::1', '0.0.0.0', '::ffff:127.0.0.1', '::ffff:7f00:1', '2130706433', '127.1', '169.254.169.254', '10.0.0.1']
    const link = await relay.link({ caps: { hosts, ports: [22, 25] } })
    for (const host of hosts) {
      const target: Target = { host, port: 22, user: 'u', privateKey: '', hostKeys: [] }
      expect([host, await (await link.open(execRequest(target, 'true'))).failed()]).toEqual([host, 'target-forbidden'])
      expect(await (await link.open({ kind: 'scan', host, port: 22 })).failed()).toBe('target-forbidden')
    }
    expect(await (await link.open({ kind: 'scan', host: '8.8.8.8', port: 25 })).failed()).toBe('grant-exceeds-link')
    await relay.relay.close()
  })
})

describe('names, over real DNS', () => {
  /** A name server on loopback that answers each A question with the next of these addresses, and AAAA with nothing. */
  const startDns = (answers: readonly string[][]): Promise<{ server: Socket; address: string; asked: string[] }> => {
    const server = createSocket('udp4')
    const asked: string[] = []
    server.on('message', (query, peer) => {
      let at = 12
      while (query[at] !== 0) at += (query[at] ?? 0) + 1
      const question = query.subarray(12, at + 5)
      const isA = question.readUInt16BE(question.length - 4) === 1
      const addresses = isA ? (answers[asked.filter((type) => type === 'A').length] ?? []) : []
      asked.push(isA ? 'A' : 'AAAA')
      const header = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, addresses.length, 0, 0, 0, 0])
      const records = addresses.map((address) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]))
      server.send(Buffer.concat([header, question, ...records]), peer.port)
    })
    return new Promise((resolve) =>
      server.bind(0, '127.0.0.1', () => resolve({ server, address: `127.0.0.1:${server.address().port}`, asked })),
    )
  }

  test('the first answer is the only one asked for: a second that differs is never seen', async () => {
    const dns = await startDns([['127.0.0.9'], ['127.0.0.1']])
    const relay = await startTestRelay([22], { RELAY_ALLOW_CIDRS: '127.0.0.9/32', RELAY_DNS_SERVERS: dns.address })
    const link = await relay.link({ caps: { hosts: ['rebind.example'], ports: [22] } })
    const target: Target = { host: 'rebind.example', port: 22, user: 'u', privateKey: '', hostKeys: [] }
    const code = await (await link.open(execRequest(target, 'true'))).failed()
    expect(['target-unreachable', 'target-not-ssh', 'host-key-unknown']).toContain(code)
    expect(dns.asked.toSorted()).toEqual(['A', 'AAAA'])
    await relay.relay.close()
    dns.server.close()
  })

  test('an answer of public and private addresses is refused', async () => {
    const dns = await startDns([['8.8.8.8', '10.0.0.1']])
    const resolve = createResolver([dns.address], 5)
    await expect(resolveTarget({ host: 'mixed.example', port: 22 }, policy, resolve)).rejects.toMatchObject({ code: 'target-forbidden' })
    dns.server.close()
  })

  test('no answer is no address', async () => {
    const dns = await startDns([])
    const resolve = createResolver([dns.address], 5)
    await expect(resolveTarget({ host: 'empty.example', port: 22 }, policy, resolve)).rejects.toMatchObject({ code: 'target-unresolved' })
    dns.server.close()
  })
})
