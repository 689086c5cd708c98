import { expect, it } from 'vitest'
import { commandOfFile } from '../../../buildpacks/python/subcommand.ts'

const typer = (serve: string, more = '', end = 'app()') =>
  `import typer\napp = typer.Typer()\n${more}\n@app.command()\n${serve}\n    run()\n\n@app.command()\ndef migrate():\n    pass\n\nif __name__ == "__main__":\n    ${end}\n`
const click = (serve: string, group = '@click.group()') =>
  `import click\n${group}\ndef cli():\n    pass\n\n@cli.command()\n${serve}\n    run()\n\nif __name__ == "__main__":\n    cli()\n`

it.each<[string, string, string]>([
  ['Typer', typer('def serve(host: str = "0.0.0.0", port: Annotated[int, typer.Option(min=1)] = 8080):'), 'serve'],
  ['Typer without parameters', typer('async def server():'), 'server'],
  [
    'Click',
    click('@click.option("--port", default=8080)\n@click.option("--debug", is_flag=True)\ndef serve(port, debug):'),
    'serve',
  ],
])('the server of a program of %s', (_name, source, name) => {
  expect(commandOfFile('main.py', source)).toMatchObject({ state: 'serves', name })
})

it.each<[string, string]>([
  ['a parameter that is required', typer('def serve(port: int):')],
  ['an option that is', click('@click.option("--port", required=True)\ndef serve(port):')],
  ['an argument', click('@click.argument("port")\ndef serve(port):')],
  ['no server', typer('def sync():')],
])('is not clear with %s', (_name, source) => {
  expect(commandOfFile('main.py', source)).toEqual({ state: 'unclear', where: 'main.py:2' })
})

it.each<[string, string]>([
  ['there is one command', typer('def serve():').replace('@app.command()\ndef migrate', 'def migrate')],
  ['it runs without one', click('def serve():', '@click.group(invoke_without_command=True)')],
  ['the file does not call it', typer('def serve():', '', 'uvicorn.run(api)')],
  ['there is neither', 'print("hello")'],
])('is none where %s', (_name, source) => {
  expect(commandOfFile('main.py', source)).toEqual({ state: 'none' })
})
