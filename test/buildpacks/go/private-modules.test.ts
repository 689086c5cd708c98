import { expect, it } from 'vitest'
import { sshForPrivateModules } from '../../../buildpacks/go/private-modules.ts'

it('reads the modules of GOPRIVATE by SSH if the build has SSH keys', () => {
  const GOPRIVATE = 'git.example.com, example.org/acme/*,*.corp.example,code.example.net:8443/team'
  expect(sshForPrivateModules({ SSH_AUTH_SOCK: '/run/agent', GOPRIVATE })).toEqual({
    GIT_CONFIG_COUNT: '3',
    GIT_CONFIG_KEY_0: 'url.ssh://git@git.example.com/.insteadOf',
    GIT_CONFIG_VALUE_0: 'https://git.example.com/',
    GIT_CONFIG_KEY_1: 'url.ssh://git@example.org/acme.insteadOf',
    GIT_CONFIG_VALUE_1: 'https://example.org/acme',
    GIT_CONFIG_KEY_2: 'url.ssh://git@code.example.net:8443/team.insteadOf',
    GIT_CONFIG_VALUE_2: 'https://code.example.net:8443/team',
  })
})

it.each([
  ['the build has no SSH keys', { GOPRIVATE: 'git.example.com' }],
  ['no module is private', { SSH_AUTH_SOCK: '/run/agent' }],
  ['no pattern names a host', { SSH_AUTH_SOCK: '/run/agent', GOPRIVATE: '*,[a-z].example.com/x,' }],
  ['the user configures git', { SSH_AUTH_SOCK: '/run/agent', GOPRIVATE: 'git.example.com', GIT_CONFIG_COUNT: '0' }],
])('changes nothing if %s', (_title, env) => {
  expect(sshForPrivateModules(env)).toEqual({})
})
