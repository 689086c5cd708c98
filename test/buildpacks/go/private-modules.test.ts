import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { addressesForSsh, sshSettings } from '../../../buildpacks/go/private-modules.ts'

const agent = { SSH_AUTH_SOCK: '/run/agent' }

/** The address that git itself uses in place of another one. */
function addressOf(GOPRIVATE: string, address: string, netrc: readonly string[] = []) {
  const settings = sshSettings(addressesForSsh({ ...agent, GOPRIVATE }, new Set(netrc)))
  const env = { PATH: process.env['PATH'], GIT_CONFIG_NOSYSTEM: '1', HOME: '/nonexistent', ...settings }
  return execFileSync('git', ['ls-remote', '--get-url', `https://${address}`], { env, encoding: 'utf8' }).trim()
}

it.each([
  ['git.example.com', 'git.example.com/any/lib'],
  ['example.org/acme/*', 'example.org/acme/lib.git'],
  ['a.example,example.org/acme/', 'example.org/acme/group/lib'],
  ['example.org/acme', 'example.org/acme/lib'],
  ['example.org/acme', 'example.org/acme.git'],
  [' example.org/acme/lib', 'example.org/acme/lib'],
  ['example.org/acme/lib', 'example.org/acme/lib.git'],
  ['example.org/group/*/lib', 'example.org/group/team/lib'],
  ['example.org/acme/own-*', 'example.org/acme/own-lib'],
])('with GOPRIVATE=%j, git reads %s by SSH', (patterns, address) => {
  expect(addressOf(patterns, address)).toBe(`ssh://git@${address}`)
})

it.each([
  ['example.org/acme', 'example.org/acmecorp/lib'],
  ['example.org/acme/*', 'example.org/acmecorp/lib'],
  ['example.org/acme/own-*', 'example.org/acme/lib'],
  ['example.org', 'example.org.evil.test/lib'],
  ['example.org/acme/lib', 'example.org/acme/other'],
  ['*.corp.example,git.*/x,[a-z].example.com/x,', 'git.corp.example/x'],
])('with GOPRIVATE=%j, git reads %s by https', (patterns, address) => {
  expect(addressOf(patterns, address)).toBe(`https://${address}`)
})

it('reads modules by https from hosts that a netrc file names, and from the others by SSH', () => {
  const GOPRIVATE = 'a.example,b.example/acme/*'
  expect(addressOf(GOPRIVATE, 'a.example/lib', ['a.example'])).toBe('https://a.example/lib')
  expect(addressOf(GOPRIVATE, 'b.example/acme/lib', ['a.example'])).toBe('ssh://git@b.example/acme/lib')
})

it.each([
  ['the build has no SSH keys', { GOPRIVATE: 'git.example.com' }],
  ['no module is private', agent],
  ['the user configures git', { ...agent, GOPRIVATE: 'git.example.com', GIT_CONFIG_COUNT: '0' }],
])('changes nothing if %s', (_title, env) => {
  expect(sshSettings(addressesForSsh(env, new Set()))).toEqual({})
})
