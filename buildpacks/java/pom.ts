import { type App, firstSetting } from '../sdk/index.ts'

type Env = Readonly<Record<string, string>>

/** Maven's project file. */
export interface Pom {
  readonly where: string
  /** Without comments and without profiles that are not active. */
  readonly text: string
}

/** The path of Maven's project file: pom.xml, or the one that a setting names. */
export const pomFile = (env: Env): string => firstSetting(env, 'BP_MAVEN_POM_FILE')?.value ?? 'pom.xml'

export async function readPom(app: App, env: Env): Promise<Pom> {
  const where = pomFile(env)
  const text = ((await app.read(where)) ?? '').replaceAll(/<!--[^]*?-->/g, '')
  const setting = firstSetting(env, 'BP_MAVEN_ACTIVE_PROFILES')?.value ?? ''
  const wanted = setting.split(',').map(name => name.trim())
  const profile = /<profile>[^]*?<\/profile>/g
  const isWanted = (part: string) => wanted.includes(/<id>\s*([^<\s]+)/.exec(part)?.[1] ?? 'default')
  const isDefault = (part: string) => /<activeByDefault>\s*true\s*</.test(part)
  // A profile that the user activates turns those off that are active by default (maven.apache.org, "Introduction to Build Profiles").
  const isActive = text.match(profile)?.some(isWanted) === true ? isWanted : isDefault
  return { where, text: text.replaceAll(profile, part => (isActive(part) ? part : '')) }
}

/**
 * The text of the first element that has the form of `wanted`, without spaces, and with the values of properties: `17`, `[17,18)`.
 * @param part where the element is; properties may be anywhere in the project file
 */
export function elementIn(pom: string, part: string, name: string, wanted = /^[^$]+$/, depth = 3): string | undefined {
  for (const [, text = ''] of part.matchAll(new RegExp(`<${name.replaceAll('.', '\\.')}>([^<]*)</`, 'g'))) {
    const value = text
      .replaceAll(/\s/g, '')
      .replaceAll(/\$\{([\w.-]+)\}/g, (all, property: string) =>
        depth === 0 ? all : (elementIn(pom, pom, property, undefined, depth - 1) ?? all),
      )
    if (wanted.test(value)) return value
  }
  return undefined
}
