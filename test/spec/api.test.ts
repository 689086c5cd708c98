import { describe, expect, it } from 'vitest'
import {
  requireBuildpackApi,
  requirePlatformApi,
  supportedBuildpackApis,
  supportedPlatformApis,
} from '../../lifecycle/spec/api.ts'
import { errorOf, failure } from './failure.ts'

describe('requirePlatformApi', () => {
  it('knows 0.7 to 0.15', () => {
    expect(supportedPlatformApis).toEqual(['0.7', '0.8', '0.9', '0.10', '0.11', '0.12', '0.13', '0.14', '0.15'])
    for (const api of supportedPlatformApis) expect(requirePlatformApi(api).api).toBe(api)
  })
  it.each([
    ['0.7', { sbomLayer: false, commandLists: false, targets: false, execEnv: false }],
    ['0.8', { sbomLayer: true, sourceDateEpoch: false }],
    ['0.9', { sourceDateEpoch: true, legacySbomFile: true, commandLists: false, overridableArgs: false }],
    ['0.10', { commandLists: true, overridableArgs: true, storeAlwaysRestored: true, buildConfig: false }],
    ['0.11', { buildConfig: true, launcherSbom: true, targets: false, runToml: false }],
    ['0.12', { targets: true, runToml: true, layout: true, history: true, insecureRegistries: false }],
    ['0.13', { insecureRegistries: true, restoresWithoutAppImage: false }],
    ['0.14', { restoresWithoutAppImage: true, execEnv: false, systemToml: false }],
    ['0.15', { execEnv: true, systemToml: true, targets: true, sbomLayer: true }],
  ])('knows what %s has', (api, features) => expect(requirePlatformApi(api)).toMatchObject(features))

  it.each([undefined, ''])('asks for the variable when it is %j', value => {
    expect(failure(() => requirePlatformApi(value))).toBe(
      'CNB_PLATFORM_API is not set; set it to the version that the platform uses: 0.7 to 0.15',
    )
    expect(errorOf(() => requirePlatformApi(value)).code).toBe('platform-api')
  })
  it.each([
    '0.6',
    '0.16',
    '1',
    '1.0',
    '0',
    '0.07',
    '0.7.0',
    'v0.12',
    '0.12 ',
    'latest',
    '0.1e1',
    '__proto__',
    '0.12\n',
  ])('D18 refuses %j and lists what there is', value => {
    const error = errorOf(() => requirePlatformApi(value))
    expect(error.code).toBe('platform-api')
    expect(error.message).toBe(`Platform API ${JSON.stringify(value)} is not supported`)
    expect(error.fix).toContain('0.7, 0.8, 0.9, 0.10')
  })
})

describe('requireBuildpackApi', () => {
  it('knows 0.7 to 0.12', () => {
    expect(supportedBuildpackApis).toEqual(['0.7', '0.8', '0.9', '0.10', '0.11', '0.12'])
    for (const api of supportedBuildpackApis) expect(requireBuildpackApi(api, 'a/b').api).toBe(api)
  })
  it.each([
    ['0.7', { sbomFiles: true, envInputs: false, commandLists: false }],
    ['0.8', { envInputs: true, commandLists: false, directProcesses: false }],
    ['0.9', { commandLists: true, directProcesses: true, overridableArgs: true, targets: false }],
    ['0.10', { targets: true, execEnv: false }],
    ['0.12', { targets: true, execEnv: true }],
  ])('knows what %s has', (api, features) => expect(requireBuildpackApi(api, 'a/b')).toMatchObject(features))
  it.each(['0.6', '0.13', '1', '', 'x'.repeat(1000)])('D18 refuses %j, naming the buildpack', value => {
    const error = errorOf(() => requireBuildpackApi(value, 'a/b'))
    expect(error.code).toBe('buildpack-api')
    expect(error.message).toMatch(/^buildpack a\/b needs Buildpack API ".*, which is not supported$/)
    expect(error.message.length).toBeLessThan(200)
  })
})
