import { lookup } from 'node:dns'
import { BlockList, type LookupFunction, isIP } from 'node:net'
import { BaleError } from '../../errors.ts'

/**
 * How near an address is, from outside to inside. A registry may refer to addresses as near as its own or farther: one on the
 * internet must not make a build server fetch from its own network. No registry may refer to a `special` address: link-local, where
 * clouds keep their metadata services, unspecified, multicast, reserved.
 */
export type Reach = 'public' | 'private' | 'loopback' | 'special'

const order: readonly Reach[] = ['public', 'private', 'loopback', 'special']

/** Returns whether a registry at `home` may refer to an address at `target`. */
export function mayReach(target: Reach, home: Reach): boolean {
  return target !== 'special' && order.indexOf(target) <= order.indexOf(home)
}

export const nearest = (a: Reach, b: Reach): Reach => (order.indexOf(a) > order.indexOf(b) ? a : b)

const listOf = (...subnets: [string, number][]): BlockList => {
  const list = new BlockList()
  for (const [net, prefix] of subnets) list.addSubnet(net, prefix, net.includes(':') ? 'ipv6' : 'ipv4')
  return list
}

// IANA's special-purpose address registries (RFC 6890). 168.63.129.16 is Azure's, fd00:ec2::254 is Amazon's.
const special = listOf(
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['168.63.129.16', 32],
  ['192.0.0.0', 24],
  ['224.0.0.0', 3],
  ['::', 128],
  ['fe80::', 10],
  ['fd00:ec2::254', 128],
  ['ff00::', 8],
)
const loopback = listOf(['127.0.0.0', 8], ['::1', 128])
const privates = listOf(
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['198.18.0.0', 15],
  ['fc00::', 7],
  ['fec0::', 10],
)

export function reachOf(address: string): Reach {
  const plain = embeddedIPv4(address) ?? address
  const family = isIP(plain) === 6 ? 'ipv6' : 'ipv4'
  if (special.check(plain, family)) return 'special'
  if (loopback.check(plain, family)) return 'loopback'
  return privates.check(plain, family) ? 'private' : 'public'
}

/** The IPv4 address within an IPv6 one: mapped, compatible, or translated (RFC 4291, 6052; 6to4 of RFC 3056). */
function embeddedIPv4(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined
  const groups = groupsOf(address)
  const [a = 0, b = 0] = groups.slice(6)
  const zeros = (from: number, to: number) => groups.slice(from, to).every(g => g === 0)
  const mapped = zeros(0, 5) && groups[5] === 0xffff
  const compatible = zeros(0, 6) && a !== 0
  const translated = groups[0] === 0x64 && groups[1] === 0xff9b
  if (mapped || compatible || translated) return dotted(a, b)
  return groups[0] === 0x2002 ? dotted(groups[1] ?? 0, groups[2] ?? 0) : undefined
}

/** The eight numbers of an IPv6 address. */
function groupsOf(address: string): number[] {
  // The URL parser normalises every form of an address. A zone (`%eth0`) is removed, since it is not part of the address.
  const text = new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1)
  const [head = '', tail] = text.split('::')
  const numbers = (part: string) => (part === '' ? [] : part.split(':').map(g => parseInt(g, 16)))
  const [start, end] = [numbers(head), numbers(tail ?? '')]
  return [...start, ...new Array<number>(8 - start.length - end.length).fill(0), ...end]
}

const dotted = (a: number, b: number): string => [a >> 8, a & 255, b >> 8, b & 255].join('.')

/** The host of a URL, if it is an address and not a name. */
export function literalAddress(url: URL): string | undefined {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return isIP(host) === 0 ? undefined : host
}

/** `localhost` and the loopback addresses: there a registry needs no TLS, as in Docker. */
export function isLoopbackHost(url: URL): boolean {
  const address = literalAddress(url)
  return address === undefined ? /^(?:.+\.)?localhost$/i.test(url.hostname) : reachOf(address) === 'loopback'
}

/**
 * Returns whether a registry needs no TLS even if no setting declares it insecure, as in Docker and go-containerregistry.
 * Such a host is on this machine, at a literal private address, or has a name of a local network (`.local`: RFC 6762, and
 * services in Kubernetes). TLS is tried before http.
 */
export function mayLackTls(url: URL): boolean {
  const address = literalAddress(url)
  if (address !== undefined) return ['loopback', 'private'].includes(reachOf(address))
  return isLoopbackHost(url) || /\.local$/i.test(url.hostname)
}

/**
 * A lookup for connections that passes the found addresses to `inspect` before connecting: a name that was harmless a
 * moment ago may now point into the local network (DNS rebinding, R12).
 * @param inspect may throw
 */
export function watchedLookup(inspect: (host: string, addresses: readonly string[]) => void): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0)
      try {
        inspect(
          hostname,
          addresses.map(a => a.address),
        )
      } catch (refusal) {
        return callback(refusal as Error, '', 0)
      }
      if (options.all) return callback(null, addresses)
      const [first] = addresses
      callback(null, first?.address ?? '', first?.family)
    })
  }
}

/** @throws BaleError if a registry at `home` may not refer to one of these addresses */
export function checkReach(host: string, addresses: readonly string[], home: Reach, purpose: string): void {
  const refused = addresses.find(address => !mayReach(reachOf(address), home))
  if (refused === undefined) return
  const address = refused === host ? refused : `${host} (${refused})`
  throw new BaleError(
    'registry',
    `the registry names ${address}, a ${reachOf(refused)} address, for ${purpose}: not asked`,
  )
}
