import { describe, expect, it } from 'vitest'
import { releaseLines } from '../../lifecycle/cli/commands/buildpack.ts'

describe('versions for people', () => {
  it('have a line for each major version, where there are several', () => {
    const versions = ['26.1.0', '24.11.0', '24.10.0', '24.9.0', '22.1.0', '22.0.0']
    expect(releaseLines(versions)).toEqual(['26.1.0', '24.11.0, and 2 older 24.x', '22.1.0, and 1 older 22.x'])
  })

  it('have one for each minor version of a language that stays at its major', () => {
    expect(releaseLines(['1.26.1', '1.26.0', '1.25.3'])).toEqual(['1.26.1, and 1 older 1.26.x', '1.25.3'])
  })

  it('are a dozen lines at most, and the range of the others', () => {
    const versions = Array.from({ length: 15 }, (_, i) => `${30 - i}.0.0`)
    const lines = releaseLines(versions)
    expect(lines).toHaveLength(13)
    expect(lines.at(-1)).toBe('and older: 16.x to 18.x')
  })
})
