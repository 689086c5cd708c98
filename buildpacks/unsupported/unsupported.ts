import { BuildpackError, defineBuildpack, explainUnsupported, fail } from '../sdk/index.ts'

/** Never takes part. As the only buildpack in the last group of a builder's order, it explains why no other buildpack does. */
export const unsupported = defineBuildpack({
  async detect(context) {
    return fail(await explainUnsupported(context))
  },

  build() {
    throw new BuildpackError('this buildpack only explains why no other fits', {
      fix: 'put it into a separate group at the end of the order',
    })
  },
})
