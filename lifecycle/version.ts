/** Of the command line and the package. */
export const baleVersion = '0.1.0'

/**
 * The lifecycle's version, as platforms see it. They compare it: older than 0.19 they refuse or treat specially, and one
 * that upstream released too would make pack fetch the image of that number.
 */
export const lifecycleVersion = '0.21.0-bale.1'
