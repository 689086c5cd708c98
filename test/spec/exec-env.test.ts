import { describe, expect, it } from 'vitest'
import { appliesIn, execEnvOf } from '../../lifecycle/spec/exec-env.ts'
import { failure } from './failure.ts'

describe('CNB_EXEC_ENV', () => {
  it.each([undefined, ''])('is production when it is %j', value => expect(execEnvOf(value)).toBe('production'))
  it.each(['production', 'test', 'development', 'a b'])('may be %j', value => expect(execEnvOf(value)).toBe(value))
  it.each(['a/b', '/', 'a\nb'])('is refused as %j', value => {
    expect(failure(() => execEnvOf(value))).toContain('CNB_EXEC_ENV: ')
  })
})

describe('what is limited to execution environments', () => {
  it.each([
    [undefined, true],
    [[], true],
    [['*'], true],
    [['test', 'production'], true],
    [['test'], false],
  ])('as %j is for production: %j', (execEnvs, expected) => expect(appliesIn(execEnvs, 'production')).toBe(expected))
})
