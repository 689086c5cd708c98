import { readFile } from 'node:fs/promises'

/** Variables that give git settings, for every program that calls it (git-config(1), "GIT_CONFIG_COUNT"); none for none. */
export function gitSettings(settings: readonly (readonly [key: string, value: string])[]): Record<string, string> {
  if (settings.length === 0) return {}
  const variables = settings.flatMap(([key, value], index): [string, string][] => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ])
  return { GIT_CONFIG_COUNT: String(settings.length), ...Object.fromEntries(variables) }
}

/** The hosts that a netrc file has credentials for (`machine HOST`); none if it cannot be read. */
export async function netrcHosts(file: string): Promise<Set<string>> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return new Set(Array.from(text.matchAll(/(?:^|\s)machine\s+([\w.-]+)/g), ([, host = '']) => host))
}
