import { expect, it } from 'vitest'
import { makeRun, type Runner } from '../../../buildpacks/sdk/command.ts'
import { Log } from '../../../buildpacks/sdk/log.ts'

function failing(stderr: string, env: Record<string, string> = {}) {
  const shown: string[] = []
  const runner: Runner = (_command, onLine) => {
    for (const line of stderr.split('\n')) onLine(line)
    return Promise.resolve({ exitCode: 2, stdout: '', stderr })
  }
  const log = new Log({ stdout: text => void shown.push(text.trim()), stderr: () => {} })
  return { run: makeRun(runner, log, { cwd: '/', env }), shown }
}

it('shows all that a quiet program said when it fails, or the beginning and the end of very much', async () => {
  const few = failing('one\ntwo')
  await expect(few.run(['tar'], { quiet: true, fix: 'mend it' })).rejects.toMatchObject({ fix: 'mend it' })
  expect(few.shown).toEqual(['one', 'two'])
  const many = failing(Array.from({ length: 3000 }, (_, i) => `line ${i}`).join('\n'))
  await expect(many.run(['tar'], { quiet: true })).rejects.toThrow('tar failed with exit status 2')
  expect(many.shown).toHaveLength(41)
  expect(many.shown.slice(19, 22)).toEqual(['line 19', '(2960 more lines)', 'line 2980'])
})

it('shows what a quiet program says, once, where the user wants to see all', async () => {
  const { run, shown } = failing('one\ntwo', { BP_LOG_LEVEL: 'DEBUG' })
  await run(['tar'], { quiet: true, allowFailure: true })
  expect(shown).toEqual(['one', 'two'])
  await expect(run(['tar'], { quiet: true })).rejects.toThrow('tar failed')
  expect(shown).toHaveLength(4)
})

it('says how to keep .git where a program asks git for something', async () => {
  const { run } = failing('fatal: not a git repository (or any of the parent directories): .git')
  await expect(run(['npm', 'run', 'build'])).rejects.toMatchObject({
    fix: expect.stringContaining('a line "!.git" in .dockerignore') as string,
  })
})

it.each([
  ['Host key verification failed.', /known_hosts/],
  ['git@example.com: Permission denied (publickey,password).', /--ssh default=FILE/],
])('says how to reach a private repository if ssh prints %j', async (printed, fix) => {
  const { run } = failing(`pip: ${printed}`)
  const error = (await run(['pip'], { fix: 'check the network' }).catch((e: unknown) => e)) as { fix: string }
  expect(error.fix).toMatch(fix)
  const own = run(['npm'], { fix: () => 'give a netrc' })
  await expect(own).rejects.toMatchObject({ fix: error.fix })
})

it('says what to do when the disk is full, whatever the program was', async () => {
  const { run } = failing('tar: a.h: Cannot write: No space left on device')
  await expect(run(['tar'], { quiet: true, fix: 'check the network' })).rejects.toMatchObject({
    fix: 'free some space on the disk that holds the builds',
  })
})
