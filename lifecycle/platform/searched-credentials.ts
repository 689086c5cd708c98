import { createHmac, randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { isErrno } from '../errors.ts'
import { replaceFile } from '../files/staged.ts'
import type { Form } from '../phases/mask.ts'
import type { SearchRecord } from '../phases/registry-credentials.ts'

const schema = v.object({ key: v.string(), forms: v.array(v.string()) })

/**
 * The record in an app's cache, with keyed digests in place of the credentials. A record that cannot be read covers nothing, and one that
 * cannot be written belongs to a cache that cannot be written either.
 * @param dir the app's cache directory
 */
export function searchedCredentials(dir: string): SearchRecord {
  const file = join(dir, 'searched')
  const read = async () => {
    const text = await readFile(file, 'utf8').catch(() => '')
    try {
      return v.parse(schema, JSON.parse(text))
    } catch {
      return { key: randomBytes(32).toString('hex'), forms: [] }
    }
  }
  return {
    async covers(forms) {
      const { key, forms: searched } = await read()
      return digestsOf(key, forms).every(digest => searched.includes(digest))
    },
    async replace(forms) {
      const { key, forms: searched } = await read()
      const digests = digestsOf(key, forms)
      if (digests.join() === searched.join()) return
      try {
        await mkdir(dir, { recursive: true })
        await replaceFile(file, Buffer.from(JSON.stringify({ key, forms: digests })), dir)
      } catch (error) {
        if (!isErrno((error as Error).cause ?? error)) throw error
      }
    },
  }
}

const digestsOf = (key: string, forms: readonly Form[]): string[] =>
  [...new Set(forms.map(({ bytes }) => createHmac('sha256', key).update(bytes).digest('hex')))].toSorted()
