import type { App, Log } from '../sdk/index.ts'
import type { ProjectHeader } from './project-config.ts'

/** The settings of a Staticfile (docs.cloudfoundry.org, "Staticfile buildpack"). */
export interface Staticfile {
  readonly root: string | undefined
  readonly pushState: boolean
  readonly forceHttps: boolean
  /** nginx lists the files of a directory without an index page. */
  readonly listing: boolean
  /** Files whose names start with a dot are part of the site. */
  readonly dotFiles: boolean
  /** Pages may include other files. */
  readonly ssi: boolean
  /** The error pages, by status. */
  readonly errors: Readonly<Record<string, string>>
  readonly headers: readonly ProjectHeader[]
}

const file = 'Staticfile'

/** Reads lines of `name: value`. Leaves out settings that nginx does not support, with a warning. */
export async function readStaticfile(app: App, log: Log): Promise<Staticfile> {
  const values = new Map<string, { value: string; where: string }>()
  for (const [index, line] of ((await app.read(file)) ?? '').split(/\r\n|\r|\n/).entries()) {
    const [, name, value] = /^\s*([\w-]+)\s*:\s*(.+?)\s*$/.exec(line) ?? []
    if (name === undefined || value === undefined) continue
    values.set(name, { value: value.replaceAll(/^['"]|['"]$/g, ''), where: `${file}:${index + 1}` })
  }
  const isOn = (name: string): boolean => yes(values.get(name)?.value)
  const errors: Record<string, string> = {}
  for (const [name, { value, where }] of values) {
    if (/^[45]\d\d$/.test(name) && isPage(value)) errors[name] = value.replace(/^\/+/, '')
    else if (!known.has(name)) log.warning(`${where} ${name} is not supported and is ignored`, instead)
  }
  return {
    root: values.get('root')?.value,
    pushState: isOn('pushstate'),
    forceHttps: isOn('force_https'),
    listing: values.get('directory')?.value === 'visible' || isOn('directory'),
    dotFiles: isOn('host_dot_files'),
    ssi: isOn('ssi'),
    errors,
    headers: isOn(hsts) ? [hstsHeader(values.get(hsts)?.where ?? file, isOn)] : [],
  }
}

const hsts = 'http_strict_transport_security'
const known = new Set([
  ...['root', 'pushstate', 'force_https', 'directory', 'host_dot_files', 'ssi'],
  ...[hsts, `${hsts}_include_subdomains`, `${hsts}_preload`],
])
const instead = 'An nginx.conf with templates can use all directives of nginx.'

export const yes = (value: string | undefined): boolean =>
  ['true', 'enabled', 'enable', 'yes', 'on', '1'].includes(value ?? '')

/** Whether nginx can take a path literally. */
const isPage = (path: string): boolean => /^\/?[\w.~/-]+$/.test(path) && !path.includes('..')

function hstsHeader(where: string, isOn: (name: string) => boolean): ProjectHeader {
  const parts = ['max-age=31536000']
  if (isOn(`${hsts}_include_subdomains`)) parts.push('includeSubDomains')
  if (isOn(`${hsts}_preload`)) parts.push('preload')
  return { path: '/*', name: 'Strict-Transport-Security', value: parts.join('; '), where }
}
