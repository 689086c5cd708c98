import { expect, it } from 'vitest'
import { clapSubcommand } from '../../../buildpacks/rust/subcommand.ts'
import { App } from '../../../buildpacks/sdk/index.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

async function commandOf(source: string) {
  const dir = await temporaryDirectory()
  await writeTree(dir, { 'src/main.rs': `use clap::{Parser, Subcommand};\n${source}` })
  return clapSubcommand(new App(dir), 'src/')
}

const parser = (field = 'command: Commands', more = '') =>
  `#[derive(Parser)]\n#[command(version)]\nstruct Cli {\n  ${more}\n  /// What to do\n  #[command(subcommand)]\n  ${field},\n}\n`
const commands = (serve: string) =>
  `#[derive(Debug, Subcommand)]\nenum Commands {\n  /// Starts, and serves\n  ${serve},\n  /// Migrates\n  Migrate { #[arg(long)] to: Option<String> },\n}\n`

it.each<[string, string, string]>([
  ['nothing', 'Serve', 'serve'],
  ['defaults', 'Serve { #[arg(long, env = "PORT", default_value_t = 8080)] port: u16, quiet: bool }', 'serve'],
  ['PORT', 'Server { #[clap(long, env = "PORT")] port: u16, tags: Vec<String>, host: Option<String> }', 'server'],
])('the server of clap starts with %s', async (_name, serve, name) => {
  expect(await commandOf(parser() + commands(serve))).toEqual({ state: 'serves', name, where: 'src/main.rs:11' })
})

it('takes the arguments of a struct of its own', async () => {
  const held = (field: string) => `#[derive(clap::Args)]\npub struct ServeArgs {\n  ${field},\n}\n`
  const source = (field: string) => parser('pub command: Commands') + commands('Serve(ServeArgs)') + held(field)
  expect(await commandOf(source('#[arg(default_value = "a,b")]\n  host: String'))).toMatchObject({ name: 'serve' })
  expect(await commandOf(source('host: String'))).toMatchObject({ state: 'unclear' })
})

it.each<[string, string]>([
  ['an argument that is required', parser() + commands('Serve { port: u16 }')],
  ['one of a struct elsewhere', parser() + commands('Serve(crate::Args)')],
  ['a name of its own', parser() + commands('#[command(name = "up")]\n  Serve')],
  ['no server', parser() + commands('Sync')],
  ['an argument of the program itself', parser(undefined, '#[arg(long)]\n  config: String,') + commands('Serve')],
])('is not clear with %s', async (_name, source) => {
  expect(await commandOf(source)).toMatchObject({ state: 'unclear', where: 'src/main.rs:4' })
})

it.each<[string, string]>([
  ['it may be left out', parser('command: Option<Commands>') + commands('Serve')],
  ['there are no commands', '#[derive(Parser)]\nstruct Cli { port: u16 }\n'],
  [
    'the arguments come from elsewhere',
    `${parser()}${commands('Serve')}fn main() { Cli::parse_from(["x", "serve"]); }`,
  ],
  ['clap is not there', 'fn main() {}'],
])('is none where %s', async (_name, source) => {
  expect(await commandOf(source)).toEqual({ state: 'none' })
})
