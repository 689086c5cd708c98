import { expect, it } from 'vitest'
import type { Crate } from '../../../buildpacks/rust/metadata.ts'
import { nativePackages } from '../../../buildpacks/rust/native.ts'

const crate = (name: string): Crate => ({
  name,
  version: '1.0.0',
  isOwn: false,
  isMember: false,
  dir: '',
  features: [],
  rustVersion: undefined,
  license: undefined,
  programs: [],
})

it('protoc comes with the types of google.protobuf', () => {
  expect(nativePackages([crate('prost-build')])).toEqual(['libprotobuf-dev', 'protobuf-compiler'])
})
