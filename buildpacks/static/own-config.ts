import { readdir } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, normalize } from 'node:path'
import { nginxTables } from '../debian/nginx.ts'
import { type App, BuildpackError, escapeRegExp, type Log } from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>

/** A part of a configuration: its text, or a value that is known at run time. */
export type Piece =
  string | { readonly is: 'port' | 'tempDir' | 'access' | 'nginx' } | { readonly is: 'env'; readonly name: string }

/** The application's own nginx configuration. */
export interface OwnConfig {
  /** Its file, relative to the root of the source. */
  readonly name: string
  /** The text with included files in place, completed with the settings that nginx needs to run without root. */
  readonly pieces: readonly Piece[]
  /** Dynamic modules, such as `ngx_stream_module`. */
  readonly modules: readonly string[]
}

/**
 * The application's own configuration: the file of BP_NGINX_CONF_LOCATION; or an `nginx.conf` with templates in the style of Cloud
 * Foundry and Paketo (`{{port}}`), or without any pages beside it. Another `nginx.conf` usually belongs to a Dockerfile, and contains
 * that image's paths.
 * @throws BuildpackError for an unknown template, or a missing file
 */
export async function findOwnConfig(app: App, env: Env, hasPages: boolean, log: Log): Promise<OwnConfig | undefined> {
  const setting = env['BP_NGINX_CONF_LOCATION']
  const name = normalize((setting ?? 'nginx.conf').replace(/^\/workspace\//, ''))
  if (name.startsWith('..') || isAbsolute(name))
    throw new BuildpackError(`${setting} is outside the source`, {
      where: 'BP_NGINX_CONF_LOCATION',
      fix: 'name a file in it',
    })
  const text = await app.read(name)
  if (text === undefined) {
    if (setting === undefined) return undefined
    throw new BuildpackError(`there is no file ${setting}`, {
      where: 'BP_NGINX_CONF_LOCATION',
      fix: 'correct the name',
    })
  }
  const all = await withIncludes(app, dirname(name), checkTemplates(text, name), name)
  if (setting === undefined && hasPages && !all.includes('{{')) {
    log.warning(
      `${name} is ignored, since it does not contain {{port}}`,
      `Set BP_NGINX_CONF_LOCATION=${name} if nginx is to run with it; the port is then written {{port}}.`,
    )
    return undefined
  }
  const modules: string[] = []
  const pieces = parse(complete(all), modules)
  return { name, pieces, modules }
}

/** Replaces includes with the included files, since nginx runs with one file at another place. */
async function withIncludes(app: App, dir: string, text: string, where: string, depth = 0): Promise<string> {
  if (depth > 10) throw new BuildpackError('files include each other', { where, fix: 'break the circle' })
  const parts: string[] = []
  let end = 0
  for (const match of text.matchAll(/^([ \t]*)include\s+(["']?)([^;"']+?)\2\s*;/gm)) {
    const [whole, , , pattern = ''] = match
    parts.push(text.slice(end, match.index))
    end = match.index + whole.length
    if (isAbsolute(pattern)) parts.push(whole.replace('/etc/nginx/', '{{nginx}}/etc/nginx/'))
    else for (const file of await filesOf(app, dir, pattern, where)) parts.push(await included(app, dir, file, depth))
  }
  return parts.join('') + text.slice(end)
}

async function included(app: App, dir: string, file: string, depth: number): Promise<string> {
  const text = await app.read(file)
  // Tables of nginx itself: `include mime.types;`.
  if (text === undefined) return `include {{nginx}}/etc/nginx/${basename(file)};`
  return `${await withIncludes(app, dir, checkTemplates(text, file), file, depth + 1)}\n`
}

async function filesOf(app: App, dir: string, pattern: string, where: string): Promise<string[]> {
  const path = normalize(join(dir, pattern))
  if (path.startsWith('..'))
    throw new BuildpackError(`${pattern} is outside the source`, { where, fix: 'copy it into the application' })
  if (!path.includes('*')) {
    if ((await app.has(path)) || nginxTables.includes(pattern)) return [path]
    throw new BuildpackError(`it includes ${pattern}, which does not exist`, { where, fix: 'correct the name' })
  }
  if (dirname(path).includes('*'))
    throw new BuildpackError(`it includes ${pattern}: a directory's name with a * is not supported`, {
      where,
      fix: 'name the directories',
    })
  const names = new RegExp(`^${basename(path).split('*').map(escapeRegExp).join('.*')}$`)
  const entries = await readdir(app.at(dirname(path))).catch(() => [])
  return entries
    .filter(entry => names.test(entry))
    .map(entry => join(dirname(path), entry))
    .toSorted()
}

/** Adds missing settings for a server in a container, which is not a daemon and may write only to a temporary directory. */
function complete(text: string): string {
  const has = (directive: string) => new RegExp(`^[^#\\n]*\\b${directive}\\s`, 'm').test(text)
  const missing = (directive: string, value: string) => (has(directive) ? '' : `${directive} ${value}; `)
  const temps = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name =>
    missing(`${name}_temp_path`, `{{tempDir}}/${name}`),
  )
  const inHttp = `${temps.join('')}${missing('access_log', '{{access}}')}`
  const top = `${missing('daemon', 'off')}${missing('pid', '{{tempDir}}/nginx.pid')}`
  return top + text.replace(/^[^#\n]*\bhttp\s*\{/m, match => `${match} ${inHttp}`)
}

const template = /\{\{-?\s*(.*?)\s*-?\}\}/g

/** Go's templates, as far as Cloud Foundry and Paketo document them. */
function actionOf(text: string): { readonly name: string; readonly argument: string } | undefined {
  const [, name = '', argument = ''] = /^(\w+)(?:\s+"([^"]*)")?$/.exec(text) ?? []
  if (argument === '') return name === 'port' || name === 'tempDir' ? { name, argument } : undefined
  const names = { env: /^[A-Za-z_]\w*$/, module: /^ngx_\w+_module$/ }
  return (name === 'env' || name === 'module') && names[name].test(argument) ? { name, argument } : undefined
}

function checkTemplates(text: string, file: string): string {
  for (const match of text.matchAll(template)) {
    if (actionOf(match[1] ?? '') !== undefined) continue
    throw new BuildpackError(`${match[0]} is unknown`, {
      where: `${file}:${text.slice(0, match.index).split('\n').length}`,
      fix: 'write {{port}}, {{tempDir}}, {{env "NAME"}} or {{module "ngx_stream_module"}}',
    })
  }
  return text
}

function parse(text: string, modules: string[]): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const match of text.matchAll(template)) {
    pieces.push(text.slice(end, match.index))
    end = match.index + match[0].length
    const inner = match[1] ?? ''
    const { name, argument } = actionOf(inner) ?? { name: inner, argument: '' }
    if (name === 'env') pieces.push({ is: 'env', name: argument })
    else if (name === 'module') {
      modules.push(argument)
      pieces.push('load_module ', { is: 'nginx' }, `/usr/lib/nginx/modules/${argument}.so;`)
    } else if (name === 'port' || name === 'tempDir' || name === 'access' || name === 'nginx') pieces.push({ is: name })
  }
  return [...pieces, text.slice(end)]
}
