import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readVariables } from '../../lifecycle/cli/variables.ts'
import { failureOf } from '../helpers/failure.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

const utf16 = (text: string): Buffer => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')])

it('variables come from files, then from the command line, and a name alone takes the value from here', async () => {
  const file = join(await temporaryDirectory(), 'env')
  await writeFile(file, '# ours\nA=1\r\nB="two words"\n\nHOME\n')
  const variables = await readVariables(['A=2', 'MISSING'], [file], { HOME: '/home/me' })
  expect(variables).toEqual({ A: '2', B: '"two words"', HOME: '/home/me' })
})

it('S19 a file of variables in UTF-16 is read as what it is', async () => {
  const file = join(await temporaryDirectory(), 'env')
  await writeFile(file, utf16('NAME=Zoë\r\n'))
  expect(await readVariables([], [file], {})).toEqual({ NAME: 'Zoë' })
})

it('a line that is not a variable is an error that names it, and not its value', async () => {
  const file = join(await temporaryDirectory(), 'env')
  await writeFile(file, 'A=1\nNOT A NAME=secret\n')
  const error = await failureOf(readVariables([], [file], {}))
  expect(error).toMatchObject({ where: `${file}:2`, message: '"NOT A NAME" is not the name of a variable' })
})
