import { describe, expect, it } from 'vitest'
import { readSsh } from '../../lifecycle/cli/ssh.ts'
import { failureOf } from '../helpers/failure.ts'
import { fakeAgent } from '../helpers/fake-ssh-agent.ts'

describe('--ssh', () => {
  it.each([
    ['default', { agent: '/run/agent' }],
    ['default=/keys/a', { files: ['/keys/a'] }],
    ['default=/keys/a,/keys/b', { files: ['/keys/a', '/keys/b'] }],
  ])('%s', async (text, keys) => {
    expect(await readSsh(text, { SSH_AUTH_SOCK: '/run/agent' })).toEqual(keys)
  })

  it('takes the socket of an agent', async () => {
    const { socket } = await fakeAgent()
    expect(await readSsh(`default=${socket}`, {})).toEqual({ agent: socket })
  })

  it.each(['', 'work', 'work=/keys/a', 'default=', 'default=/keys/a,'])('refuses %j', async text => {
    expect(await failureOf(readSsh(text, {}))).toMatchObject({ code: 'usage', where: '--ssh' })
  })

  it('says what to do if there is no agent', async () => {
    expect(await failureOf(readSsh('default', {}))).toMatchObject({
      code: 'arguments',
      message: 'there is no SSH agent: SSH_AUTH_SOCK is not set',
    })
  })
})
