import { type BuildContext, BuildpackError, firstSetting } from '../sdk/index.ts'
import { candidateFiles } from '../sdk/python-starts.ts'
import type { Project } from './project.ts'
import type { Python } from './runtime.ts'

/** Prints the modules that a file always imports and that belong neither to Python nor to the application. */
const script = `
import ast
import importlib.util
import sys

sys.path[:1] = ["", "src"]
with open(sys.argv[1], "rb") as file:
    try:
        nodes = ast.parse(file.read()).body
    except SyntaxError:
        nodes = []
for node in nodes:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        names = [node.module]
    for name in names:
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            print(f"{sys.argv[1]}:{node.lineno} imports {name.partition('.')[0]}")
`

/** Warns of third-party imports of an application without a list of packages: the image would end as it starts. */
export async function warnOfMissing({ app, env, log, run }: BuildContext, python: Python): Promise<void> {
  // These may provide modules from elsewhere.
  if ((await app.has('Aptfile')) || firstSetting(env, 'PYTHONPATH', 'BP_APT_PACKAGES', 'RAILPACK_DEPLOY_APT_PACKAGES'))
    return
  const file = await app.firstOf(await candidateFiles(app))
  if (file === undefined) return
  const options = { env: python.env, quiet: true, allowFailure: true }
  const { stdout } = await run([python.program, '-c', script, file], options)
  const [first] = stdout.split('\n').filter(line => line.includes(' imports '))
  if (first === undefined) return
  log.warning(
    `${first}, which is not installed, as no file lists packages`,
    `List the packages in requirements.txt, one per line: ${first.replace(/.* /, '')}`,
  )
}

/** @throws BuildpackError if a file lists its packages in a form that only uv reads, and no other file lists them (PEP 723) */
export async function refuseInlineScript({ app }: BuildContext, project: Project): Promise<void> {
  if (project.kind !== 'plain') return
  for (const file of await candidateFiles(app)) {
    const block = /^# \/\/\/ script$([^]*?)^# \/\/\/$/m.exec((await app.read(file)) ?? '')?.[1]
    if (block === undefined || !/^#\s*dependencies\s*=\s*\[\s*(#\s*)?["']/m.test(block)) continue
    throw new BuildpackError('lists its packages in its own header, which only "uv run" reads', {
      where: file,
      fix: `make a list that every installer reads: uv export --script ${file} --output-file requirements.txt`,
    })
  }
}
