// Everything the page writes with, for tests in Node.
export * from "../../../internal/web/assets/src/cert/asn1";
export * from "../../../internal/web/assets/src/cert/des3";
export * from "../../../internal/web/assets/src/cert/pkcs10";
export * from "../../../internal/web/assets/src/cert/pkcs12";
export * from "../../../internal/web/assets/src/cert/passphrase";
