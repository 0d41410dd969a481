/** Our own version; a test holds it to package.json. */

export const VERSION = '0.1.0';
/** softwareversion of our identification line (RFC 4253 section 4.2). */
export const SOFTWARE = `bssh_${VERSION}`;
