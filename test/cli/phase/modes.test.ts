import { describe, expect, it } from 'vitest'
import { PhaseLog } from '../../../lifecycle/cli/phase/log.ts'
import { checkDeprecated, requireExperimental } from '../../../lifecycle/cli/phase/modes.ts'
import { failureOf } from '../../helpers/failure.ts'

function logged(): { log: PhaseLog; said: () => string } {
  let said = ''
  const log = new PhaseLog(text => void (said += text))
  log.color = false
  return { log, said: () => said }
}

describe('modes', () => {
  it.each([
    [undefined, 'fails'],
    ['', 'fails'],
    ['error', 'fails'],
    ['nonsense', 'fails'],
    ['warn', 'warns'],
    ['silent', 'passes'],
    ['quiet', 'passes'],
  ])('an experimental feature at CNB_EXPERIMENTAL_MODE=%j: %s', async (mode, expected) => {
    const { log, said } = logged()
    const ask = (): void => requireExperimental('layout', { CNB_EXPERIMENTAL_MODE: mode }, log)
    if (expected === 'fails') {
      expect(await failureOf(ask)).toMatchObject({ code: 'failed', where: 'CNB_EXPERIMENTAL_MODE' })
    } else ask()
    expect(said() !== '').toBe(expected === 'warns')
  })

  it.each([
    [undefined, 'warns'],
    ['warn', 'warns'],
    ['quiet', 'passes'],
    ['error', 'fails'],
  ])('a deprecated API at CNB_DEPRECATION_MODE=%j: %s', async (mode, expected) => {
    const { log, said } = logged()
    const env = { CNB_DEPRECATION_MODE: mode }
    const ask = (): void => checkDeprecated('0.7', 'platform-api', ['0.7'], env, log)
    if (expected === 'fails') expect(await failureOf(ask)).toMatchObject({ code: 'platform-api' })
    else ask()
    expect(said()).toBe(expected === 'warns' ? 'Warning: Platform API 0.7 is deprecated\n' : '')
    checkDeprecated('0.8', 'platform-api', ['0.7'], { CNB_DEPRECATION_MODE: 'error' }, log)
  })
})
