import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { toolchainOptions } from '../../buildpacks/java/toolchains.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

describe("Maven's list of JDKs", () => {
  it.each<[string, string | undefined, [string, string][]]>([
    [
      '17.0.15+6-1~deb12u1',
      undefined,
      [
        ['17', 'openjdk'],
        ['17', 'debian'],
        ['17.0.15', 'openjdk'],
        ['17.0.15', 'debian'],
      ],
    ],
    [
      '25',
      'microsoft',
      [
        ['25', 'microsoft'],
        ['25', 'ms'],
      ],
    ],
  ])('has %s of %s by its versions and names', async (version, vendor, expected) => {
    const jdk = { home: '/layers/jdk', version, vendor, env: {} }
    const [option, file = ''] = await toolchainOptions(jdk, await temporaryDirectory())
    expect(option).toBe('--global-toolchains')
    const text = await readFile(file, 'utf8')
    const found = text.matchAll(/<version>(.*?)<\/version><vendor>(.*?)<\/vendor>/g)
    expect(Array.from(found, ([, version, vendor]) => [version, vendor])).toEqual(expected)
    expect(text.split('<jdkHome>/layers/jdk</jdkHome>')).toHaveLength(expected.length + 1)
  })
})
