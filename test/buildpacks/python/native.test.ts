import { expect, it } from 'vitest'
import { runPackages } from '../../../buildpacks/python/native.ts'

it.each<[string[], string[]]>([
  [['playwright', 'flask'], ['libatomic1']],
  [['psycopg'], ['libpq5']],
  [['psycopg', 'psycopg-binary'], []],
  [
    ['opencv-python', 'openai-whisper'],
    ['ffmpeg', 'libgl1', 'libglib2.0-0t64'],
  ],
])('what %j load or start as they run', (installed, packages) => {
  expect(runPackages(new Set(installed))).toEqual(packages)
})
