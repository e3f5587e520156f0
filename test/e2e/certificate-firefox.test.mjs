// Certificates in Firefox.
import { walk } from './certificate.mjs';

walk('firefox');
