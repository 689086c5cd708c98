import { describe, expect, it } from 'vitest'
import { cobraSubcommand, isPocketBase } from '../../../buildpacks/go/subcommand.ts'
import { App } from '../../../buildpacks/sdk/index.ts'
import type { Tree } from '../../../buildpacks/sdk/testing.ts'
import { temporaryDirectory } from '../../helpers/temporary.ts'
import { writeTree } from '../../helpers/tree.ts'

async function appOf(tree: Tree): Promise<App> {
  const dir = await temporaryDirectory()
  await writeTree(dir, tree)
  return new App(dir)
}

const root = 'package cmd\n\nvar rootCmd = &cobra.Command{\n\tUse: "shop",\n}\n\nfunc Execute() { rootCmd.Execute() }\n'
const serve =
  'package cmd\n\nvar serveCmd = &cobra.Command{\n\tUse: "serve [flags]",\n\tRunE: func(c *cobra.Command, _ []string) error { return listen("}") },\n}\n\nfunc init() { rootCmd.AddCommand(serveCmd) }\n'
const tree: Tree = { 'main.go': 'package main', 'cmd/root.go': root, 'cmd/serve.go': serve }

const inFunctions: Tree = {
  'main.go': 'package main\n\nfunc main() { if err := newRoot().Execute(); err != nil { panic(err) } }\n',
  'cli.go':
    'package main\n\nfunc newRoot() *cobra.Command {\n\tcmd := &cobra.Command{Use: "shop"}\n\tcmd.AddCommand(\n\t\tnewServer(),\n\t\tnewMigrate(),\n\t)\n\treturn cmd\n}\n\nfunc newServer() *cobra.Command {\n\treturn &cobra.Command{Use: "server", Run: run}\n}\n\nfunc newMigrate() *cobra.Command {\n\treturn &cobra.Command{Use: "migrate", Run: run}\n}\n',
}

describe('the command of a program with Cobra', () => {
  it.each<[string, Tree, string, string]>([
    ['a variable', tree, 'serve', 'cmd/serve.go:3'],
    ['a function', inFunctions, 'server', 'cli.go:13'],
    [
      'in the call',
      {
        'main.go':
          'package main\n\nfunc main() {\n\troot := &cobra.Command{Use: "shop"}\n\troot.AddCommand(&cobra.Command{Use: "serve", Run: run})\n\troot.Execute()\n}\n',
      },
      'serve',
      'main.go:5',
    ],
  ])('is its server: %s', async (_name, app, name, where) => {
    expect(await cobraSubcommand(await appOf(app), '.')).toEqual({ state: 'serves', name, where })
  })

  it.each<[string, Tree]>([
    ['two servers', { ...tree, 'cmd/b.go': serve.replaceAll('serve', 'server') }],
    [
      'a flag that is required',
      { ...tree, 'cmd/b.go': 'package cmd\nfunc init() { serveCmd.MarkFlagRequired("db") } // cobra.' },
    ],
    ['a server of another command', { ...tree, 'cmd/serve.go': serve.replace('rootCmd.Add', 'adminCmd.Add') }],
    ['no server', { ...tree, 'cmd/serve.go': serve.replace('"serve', '"sync') }],
  ])('is not clear with %s', async (_name, app) => {
    expect(await cobraSubcommand(await appOf(app), '.')).toEqual({ state: 'unclear', where: 'cmd/root.go:3' })
  })

  it.each<[string, Tree]>([
    ['the root runs', { ...tree, 'cmd/root.go': root.replace('"shop",', '"shop",\n\tRun: serve,') }],
    ['the root runs by an assignment', { ...tree, 'cmd/root.go': `${root}func init() { rootCmd.RunE = serve }\n` }],
    ['the program gives the arguments', { ...tree, 'cmd/a.go': 'package cmd\nfunc x() { rootCmd.SetArgs(nil) }' }],
    ['there is no root', { 'cmd/serve.go': serve }],
    ['there are two', { ...tree, 'b.go': root.replaceAll('rootCmd', 'other') }],
    ['there is no Cobra', { 'main.go': 'package main' }],
  ])('is none where %s', async (_name, app) => {
    expect(await cobraSubcommand(await appOf(app), '.')).toEqual({ state: 'none' })
  })
})

it('PocketBase is what main.go makes and starts', async () => {
  const main = 'import "github.com/pocketbase/pocketbase"\nfunc main() { app := pocketbase.New(); app.Start() }'
  expect(await isPocketBase(await appOf({ 'main.go': main }), '.')).toBe(true)
  expect(await isPocketBase(await appOf({ 'cmd/x/main.go': main }), '.')).toBe(false)
  expect(await isPocketBase(await appOf({ 'main.go': `${main}\nos.Args = []string{"x", "serve"}` }), '.')).toBe(false)
})
