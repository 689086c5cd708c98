import { readdir, readFile } from 'node:fs/promises'
import type { App } from '../sdk/index.ts'
import { classesIn, withZip } from './archive.ts'

type Api = 'javax' | 'jakarta'

interface ServletApi {
  readonly api: Api
  readonly why: string
  /** The evidence against it. */
  readonly doubt?: string
}

/**
 * The servlet API that an unpacked web application is compiled for: Tomcat 10 and newer have only jakarta.servlet, and 9 has
 * javax.servlet. The first clear evidence decides: its own classes; a web.xml of jakarta's namespace, which no javax.servlet
 * application has; most of its libraries, since an unused library may have the other API; a web.xml of the older namespace, which
 * Tomcat 10 reads as well.
 */
export async function servletApi(app: App): Promise<ServletApi> {
  const classes = await readdir(app.at('WEB-INF/classes'), { recursive: true, encoding: 'utf8' }).catch(() => [])
  for (const name of classes.filter(name => name.endsWith('.class')).toSorted()) {
    const api = apiIn(await readFile(app.at('WEB-INF/classes', name)))
    if (api !== undefined) return { api, why: `${name} uses ${api}.servlet` }
  }
  const xml = (await app.read('WEB-INF/web.xml')) ?? ''
  if (/jakarta\.ee\/xml/.test(xml)) return { api: 'jakarta', why: 'WEB-INF/web.xml is for jakarta.servlet' }
  const found = await apiOfLibraries(app)
  if (found !== undefined) return found
  if (/java\.sun\.com|xmlns\.jcp\.org/.test(xml)) return { api: 'javax', why: 'WEB-INF/web.xml is for javax.servlet' }
  return { api: 'jakarta', why: 'nothing asks for javax.servlet' }
}

async function apiOfLibraries(app: App): Promise<ServletApi | undefined> {
  const names = await readdir(app.at('WEB-INF/lib')).catch(() => [])
  const users: Readonly<Record<Api, string[]>> = { javax: [], jakarta: [] }
  for (const name of names.filter(name => name.endsWith('.jar')).toSorted()) {
    const api = await apiInArchive(app.at('WEB-INF/lib', name))
    if (api !== undefined) users[api].push(name)
  }
  const [api, other] =
    users.javax.length > users.jakarta.length ? (['javax', 'jakarta'] as const) : (['jakarta', 'javax'] as const)
  const [[first], [opposed]] = [users[api], users[other]]
  if (first === undefined) return undefined
  const why = `${first} uses ${api}.servlet`
  return opposed === undefined ? { api, why } : { api, why, doubt: `${why}, but ${opposed} uses ${other}.servlet` }
}

/** The API that a class file names; undefined for neither or both, as in libraries that adapt themselves. */
function apiIn(bytes: Buffer): Api | undefined {
  const [javax, jakarta] = [bytes.includes('javax/servlet/'), bytes.includes('jakarta/servlet/')]
  return javax === jakarta ? undefined : javax ? 'javax' : 'jakarta'
}

/** The API of a library: undefined if it has classes for both. */
async function apiInArchive(path: string): Promise<Api | undefined> {
  return withZip(path, async zip => {
    const found = new Set<Api>()
    for await (const [, bytes] of classesIn(zip)) {
      const api = apiIn(bytes)
      if (api !== undefined) found.add(api)
      if (found.size > 1) return undefined
    }
    return [...found][0]
  })
}
