/** A key and a certificate for it, made for these tests, of and for the loopback interface alone. */
export function tlsFile(name: 'key' | 'cert'): URL {
  return new URL(`../../../test/http/tls/${name}.pem`, import.meta.url)
}
