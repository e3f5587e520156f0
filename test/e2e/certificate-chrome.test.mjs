// Certificates in Chromium.
import { walk } from './certificate.mjs';

walk('chrome');
