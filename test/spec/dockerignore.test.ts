import { expect, it } from 'vitest'
import { isIgnoredByDocker, parseDockerignore } from '../../lifecycle/spec/dockerignore.ts'

it.each([
  ['a.txt', 'a.txt', true],
  ['a.txt', 'b/a.txt', false],
  ['/a.txt', 'a.txt', true],
  ['./a', 'a', true],
  ['a/', 'a/b/c', true],
  ['*.log', 'x.log', true],
  ['*.log', 'd/x.log', false],
  ['*/*.log', 'd/x.log', true],
  ['**/*.log', 'x.log', true],
  ['**/*.log', 'a/b/x.log', true],
  ['a/**', 'a/b/c', true],
  ['a/**/z', 'a/z', true],
  ['a?c', 'abc', true],
  ['a?c', 'a/c', false],
  ['[ab]x', 'bx', true],
  ['[^ab]x', 'bx', false],
  ['a.c', 'abc', false],
  ['left-out', 'left-out', true],
  ['a-*/b-c', 'a-x/b-c', true],
  ['a+(b)', 'a+(b)', true],
  ['\\*', '*', true],
  ['\\*', 'a', false],
  ['# comment', '# comment', false],
  ['a\n!a/b', 'a/b', false],
  ['a\n!a/b', 'a/c', true],
  ['!a\na', 'a', true],
  ['\uFEFFa\r\nb', 'a', true],
  ['\uFEFFa\r\nb', 'b', true],
  ['', 'a', false],
])('%j ignores %s: %s', (text, path, ignored) => {
  expect(isIgnoredByDocker(parseDockerignore(text), path)).toBe(ignored)
})
