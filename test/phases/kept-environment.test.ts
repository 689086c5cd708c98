import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { shellVariables } from '../../lifecycle/phases/kept-environment.ts'

it('an environment is a script that sets it in sh, whatever is in its values', () => {
  const env = {
    PLAIN: 'x',
    QUOTED: `it's "here" $(echo no) \`echo no\` \\ $HOME`,
    LINES: "a\n'b\n; echo no",
    EMPTY: '',
    'no.name': 'left out',
    'X=1; echo no; Y': 'left out',
  }
  const script = `${shellVariables(env)}env -0`
  const output = execFileSync('sh', ['-c', script], { env: { PATH: process.env['PATH'] ?? '' }, encoding: 'utf8' })
  const found = Object.fromEntries(
    output.split('\0').map(entry => entry.split(/=(.*)/s).slice(0, 2) as [string, string]),
  )
  expect(found).toMatchObject({ PLAIN: 'x', QUOTED: env.QUOTED, LINES: env.LINES, EMPTY: '' })
  expect(output).not.toContain('left out')
})
