import { onTestFinished } from 'vitest'
import { removeTree } from '../../lifecycle/files/remove.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

/** A directory that is gone after the test, even if what it holds forbids an ordinary user to go in. */
export async function workDirectory(): Promise<string> {
  const dir = await temporaryDirectory()
  onTestFinished(() => removeTree(dir))
  return dir
}
