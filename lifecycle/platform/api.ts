/** The Platform API that `bale` speaks with its own phases. */
export const platformApi = '0.15'
