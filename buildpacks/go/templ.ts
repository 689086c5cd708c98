import { posix } from 'node:path'
import { type BuildContext, BuildpackError, programFiles } from '../sdk/index.ts'
import type { GoCommand } from './command.ts'
import type { Project } from './project.ts'

/**
 * Compiles the templates of templ (templ.guide) to Go if the generated files are not committed, with the version that go.mod requires:
 * Go checks that module against its checksum database.
 */
export async function generateTemplates(context: BuildContext, project: Project, go: GoCommand): Promise<void> {
  const { app, log } = context
  const missing: string[] = []
  for (const file of await programFiles(app, '.templ')) {
    if (!(await app.has(file.replace(/\.templ$/, '_templ.go')))) missing.push(file)
  }
  const [first] = missing
  if (first === undefined) return
  const places = await goMods(context, project)
  const version = places.map(text => /\bgithub\.com\/a-h\/templ\s+(v\S+)/.exec(text)?.[1]).find(Boolean)
  if (version === undefined) {
    throw new BuildpackError('it is not compiled, and no go.mod has the version of templ', {
      where: first,
      fix: 'run "go get github.com/a-h/templ" and commit go.mod and go.sum; or commit the output of "templ generate"',
    })
  }
  const count = missing.length === 1 ? first : `${first} and ${missing.length - 1} more`
  await log.step(`Running templ ${version} for ${count}`, async () => {
    // It runs on this machine, for any target platform.
    const env = { GOOS: '', GOARCH: '', GOFLAGS: '-modcacherw' }
    await go.run(['run', `github.com/a-h/templ/cmd/templ@${version}`, 'generate'], { env, quiet: true })
  })
}

async function goMods({ app }: BuildContext, project: Project): Promise<string[]> {
  const dirs = project.kind === 'workspace' ? project.work.use.map(({ value }) => value) : [project.dir]
  const texts = await Promise.all(dirs.map(dir => app.read(posix.join(dir, 'go.mod'))))
  return texts.map(text => text ?? '')
}
