import { join, relative, resolve } from 'node:path'
import ts from 'typescript'
import { expect, it } from 'vitest'

// Public types must be complete: a program can import each type that a public signature mentions.

const root = resolve(import.meta.dirname, '..')

/** The project's own types that declarations of `file` mention and that it does not export, as `Type in Declaration`. */
function missingTypes(file: string): string[] {
  const path = join(root, 'tsconfig.json')
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(path, file => ts.sys.readFile(file)).config,
    ts.sys,
    root,
  )
  const program = ts.createProgram([join(root, file)], options)
  const checker = program.getTypeChecker()
  const module = checker.getSymbolAtLocation(program.getSourceFile(join(root, file)) as ts.SourceFile) as ts.Symbol
  const real = (symbol: ts.Symbol): ts.Symbol =>
    (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)
  const exported = new Set(checker.getExportsOfModule(module).map(real))
  const missing = new Set<string>()
  const visit = (node: ts.Node, owner: string): void => {
    if (ts.isBlock(node) || isHidden(node)) return
    if (ts.isTypeReferenceNode(node) || ts.isExpressionWithTypeArguments(node)) {
      const named = ts.isTypeReferenceNode(node) ? node.typeName : node.expression
      const found = checker.getSymbolAtLocation(named)
      const symbol = found && real(found)
      const declared = symbol?.declarations?.[0]
      const isType = declared !== undefined && !ts.isTypeParameterDeclaration(declared)
      const isOwn = isType && declared.getSourceFile().fileName.startsWith(join(root, 'lifecycle'))
      if (symbol && isOwn && !exported.has(symbol)) missing.add(`${symbol.name} in ${owner}`)
    }
    ts.forEachChild(node, child => visit(child, owner))
  }
  for (const symbol of exported)
    for (const declaration of symbol.declarations ?? [])
      if (relative(root, declaration.getSourceFile().fileName).startsWith('lifecycle')) visit(declaration, symbol.name)
  return [...missing].sort()
}

/** Private members, and the values of constants. */
function isHidden(node: ts.Node): boolean {
  if (ts.isPropertyDeclaration(node) && ts.isPrivateIdentifier(node.name)) return true
  if (ts.isObjectLiteralExpression(node) || ts.isArrowFunction(node)) return true
  const modifiers = ts.canHaveModifiers(node) ? (ts.getModifiers(node) ?? []) : []
  return modifiers.some(m => m.kind === ts.SyntaxKind.PrivateKeyword)
}

it.each(['lifecycle/index.ts'])('%s exports every type that its signatures mention', file => {
  expect(missingTypes(file)).toEqual([])
})

it('sees a type that is missing', () => {
  expect(missingTypes('lifecycle/phase-runner.ts')).toContain('Engine in engineRunner')
}, 60_000)
