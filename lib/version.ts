/** Of this package. A test keeps it equal to package.json, which cannot be imported from both sources and dist. */
export const VERSION = '0.1.0'
