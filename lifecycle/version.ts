/** The version of the command line and the package. */
export const baleVersion = '0.1.0'

/**
 * The lifecycle's version for platforms. They compare it: they refuse versions older than 0.19 or treat them specially, and a version
 * that upstream also released would make pack fetch the image with that version.
 */
export const lifecycleVersion = '0.21.0-bale.1'
