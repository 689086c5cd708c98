import { describe, expect, it } from 'vitest'
import { storeSettings } from '../../lifecycle/stores/settings.ts'

describe('the home directory', () => {
  const nobody = (): string => {
    throw new Error('uv_os_homedir returned ENOENT')
  }
  it.each([
    ['HOME', { HOME: '/home/ann' }, nobody, '/home/ann'],
    ['that of the account, where HOME is not set or empty', { HOME: '' }, () => '/home/bob', '/home/bob'],
    ['the root, for a user that has neither, as in an image without accounts', {}, nobody, '/'],
  ])('is %s', (_, env, find, home) => {
    const settings = storeSettings(env, find)
    expect(settings.dockerConfig).toBe(`${home === '/' ? '' : home}/.docker/config.json`)
  })
})

it('is never the directory that one is in', () => {
  const { HOME } = process.env
  process.env['HOME'] = ''
  try {
    expect(storeSettings({ HOME: '' }).dataDir).toMatch(/^\//)
  } finally {
    process.env['HOME'] = HOME
  }
})

describe('the socket of a daemon', () => {
  it.each([
    [{}, '/var/run/docker.sock'],
    [{ DOCKER_HOST: '' }, '/var/run/docker.sock'],
    [{ DOCKER_HOST: 'unix:///run/podman.sock' }, '/run/podman.sock'],
    [{ DOCKER_HOST: 'tcp://docker:2375' }, 'tcp://docker:2375'],
  ])('with %j: %s', (env, socket) => expect(storeSettings({ HOME: '/', ...env }).dockerSocket).toBe(socket))
})
