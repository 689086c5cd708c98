import { BaleError } from '../errors.ts'
import { withoutUserInfo } from '../image/reference.ts'
import type { ImageReference, ImageTransport } from './transport.ts'

/** A transport whose stores are files or directories of this machine. */
export interface PathTransport extends ImageTransport {
  at(path: string, name?: string): ImageReference
}

interface PathTransportOptions extends Pick<ImageTransport, 'name' | 'form' | 'keepsManifests' | 'open'> {
  /** Converts the name to the form of its store; unchanged by default. */
  readonly parseName?: (name: string, text: string) => string
}

export function pathTransport(options: PathTransportOptions): PathTransport {
  const { parseName = name => name, ...rest } = options
  const prefix = `${options.name}:`
  const transport: PathTransport = {
    ...rest,
    prefix,
    isPath: true,
    at: (location, name = '') => ({ transport, location, name }),
    parse(rest) {
      const { path, name } = splitPath(prefix, rest)
      return transport.at(path, parseName(name, prefix + rest))
    },
    identify: (_reference, image) => image.digest,
  }
  return transport
}

/** The path ends at the first colon, as in skopeo, so a path cannot contain one. */
function splitPath(prefix: string, rest: string): { path: string; name: string } {
  const colon = rest.indexOf(':')
  const [path, name] = colon < 0 ? [rest, ''] : [rest.slice(0, colon), rest.slice(colon + 1)]
  if (path !== '' && !path.includes('\0')) return { path, name }
  throw new BaleError('arguments', `${quoted(prefix + rest)} has no path`, { fix: `write ${prefix}PATH` })
}

/** Quotes a reference as the user wrote it, without a password, for a message (K17). */
export const quoted = (text: string): string => JSON.stringify(withoutUserInfo(text).slice(0, 300))
