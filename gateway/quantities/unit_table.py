"""The units known to the gateway, one row each: data for `units`, which explains it.

Codes are UCUM (https://ucum.org).  The foot, the pound, the psi and the BTU are those of NIST
SP 811, millimetres of mercury are the conventional ones.  The first unit-like spelling of each
row is the usual one, the others were seen in the payloads and manuals of vendors.  Spellings
are written as they look after normalisation: without spaces, `2` for a superscript, `u` for micro.
"""

import math
from typing import Final, TypeAlias

Row: TypeAlias = tuple[str, float, str, str]
"""Code, factor to the base unit, suffix for field names, spellings (the code is always one)."""

_FOOT: Final = 0.3048
_CUBIC_FOOT: Final = _FOOT**3
_GALLON: Final = 3.785411784e-3
_MM_MERCURY: Final = 133.322387415
_POUND: Final = 0.45359237
_MILE: Final = 1609.344
_BTU: Final = 1055.05585262

ROWS: Final[dict[str, tuple[Row, ...]]] = {
    "temperature": (
        (
            "Cel",
            1.0,
            "deg_c",
            "°C C c oC ˚C degC deg_C deg.C degsC degreesC degreeC celsius Celcius °Celsius",
        ),
        (
            "[degF]",
            5 / 9,
            "deg_f",
            "°F F f oF ˚F degF deg_F deg.F degreesF degreeF fahrenheit °Fahrenheit",
        ),
        ("K", 1.0, "k", "°K degK kelvin kelvins"),
    ),
    "pressure": (
        ("Pa", 1.0, "pa", "pascal pascals"),
        ("hPa", 100.0, "hpa", "mbar mb millibar millibars hectopascal"),
        ("kPa", 1000.0, "kpa", "cbar kilopascal"),
        ("MPa", 1e6, "mpa", "megapascal"),
        ("bar", 1e5, "bar", "bars"),
        ("[psi]", 4.4482216152605 / 0.0254**2, "psi", "psi psig psia lbf/in2 lb/in2"),
        ("mm[Hg]", _MM_MERCURY, "mmhg", "mmHg mm_Hg torr"),
        ("[in_i'Hg]", 25.4 * _MM_MERCURY, "inhg", "inHg in_Hg inchHg inchesHg"),
        ("mm[H2O]", 9.80665, "mmh2o", "mmH2O mmWS"),
        ("[in_i'H2O]", 25.4 * 9.80665, "inh2o", "inH2O inWC"),
        ("atm", 101325.0, "atm", ""),
    ),
    "ratio": (
        ("1", 1.0, "", "ratio UVindex UVI index lqi AQI IAQ fraction"),
        ("%", 0.01, "percent", "%RH RH% %rF percent pct percentage %r.H. %VWC VWC%"),
    ),
    "parts": (
        ("%{vol}", 1e-2, "percent", "%vol vol% Vol.-% %v/v"),
        ("[ppth]", 1e-3, "permille", "‰ permille promille"),
        ("[ppm]", 1e-6, "ppm", "ppm ppmv"),
        ("[ppb]", 1e-9, "ppb", "ppb ppbv"),
    ),
    "concentration": (
        ("ng/m3", 1e-12, "ng_m3", ""),
        ("ug/m3", 1e-9, "ug_m3", "ugm3 mcg/m3 ug/cbm ug.m-3 ug/Nm3"),
        ("mg/m3", 1e-6, "mg_m3", "mgm3 mg/cbm"),
        ("g/m3", 1e-3, "g_m3", "gm3 g/cbm"),
        ("kg/m3", 1.0, "kg_m3", ""),
        ("mg/L", 1e-3, "mg_l", "mg/l"),
        ("g/L", 1.0, "g_l", "g/l"),
    ),
    "number_concentration": (
        ("/cm3", 1e6, "per_cm3", "#/cm3 1/cm3 p/cm3 particles/cm3 counts/cm3 cm-3"),
        ("/m3", 1.0, "per_m3", "#/m3 1/m3"),
        ("/L", 1e3, "per_l", "#/L 1/L #/l /l"),
        ("/dL", 1e4, "per_dl", "#/dL #/0.1L 1/0.1L particles/0.1L"),
    ),
    "illuminance": (
        ("lx", 1.0, "lx", "lux luxes"),
        ("klx", 1e3, "klx", "klux"),
        ("lm/[sft_i]", 1 / _FOOT**2, "fc", "fc footcandle footcandles"),
    ),
    "luminous_flux": (("lm", 1.0, "lm", "lumen lumens"),),
    "irradiance": (
        ("W/m2", 1.0, "w_m2", "Wm2 W.m-2 Wm-2 watt/m2 watts/m2 W/sqm"),
        ("mW/m2", 1e-3, "mw_m2", ""),
        ("kW/m2", 1e3, "kw_m2", ""),
        ("mW/cm2", 10.0, "mw_cm2", ""),
        ("[Btu_IT]/h/[sft_i]", _BTU / 3600 / _FOOT**2, "btu_h_ft2", "BTU/(h.ft2) BTU/h/ft2"),
    ),
    "speed": (
        ("m/s", 1.0, "m_s", "mps m_s m.s-1 ms-1 meter/s metre/s meters/second m/sec"),
        ("mm/s", 1e-3, "mm_s", ""),
        ("cm/s", 1e-2, "cm_s", ""),
        ("km/h", 1 / 3.6, "km_h", "kmh kph kmph km/hr km_h kmh-1 km/std kmperh"),
        ("[mi_i]/h", _MILE / 3600, "mi_h", "mph mi/h mi/hr mi_h miles/h miles/hour"),
        ("[kn_i]", 1852 / 3600, "kn", "kn kt kts knot knots"),
        ("[ft_i]/s", _FOOT, "ft_s", "ft/s fps ft/sec"),
    ),
    "acceleration": (
        ("m/s2", 1.0, "m_s2", "m/s/s m.s-2 ms-2"),
        ("[g]", 9.80665, "g", "gee g0 g-force"),
        ("m[g]", 9.80665e-3, "mg", "milli-g millig"),
    ),
    "precipitation_intensity": (
        ("mm/h", 1e-3 / 3600, "mm_h", "mmh mm/hr mm/hour mmph L/m2/h"),
        ("mm/d", 1e-3 / 86400, "mm_d", "mm/day"),
        ("[in_i]/h", 0.0254 / 3600, "in_h", "in/h in/hr inch/h inches/h iph"),
        ("[in_i]/d", 0.0254 / 86400, "in_d", "in/d in/day"),
    ),
    "length": (
        ("um", 1e-6, "um", "micron microns micrometer"),
        ("mm", 1e-3, "mm", "millimeter millimeters millimetre millimetres L/m2 l/m2"),
        ("cm", 1e-2, "cm", "centimeter centimeters centimetre centimetres"),
        ("m", 1.0, "m", "meter meters metre metres mtr"),
        ("km", 1e3, "km", "kilometer kilometers kilometre kilometres"),
        ("[in_i]", 0.0254, "in", 'in inch inches " ″'),
        ("[ft_i]", _FOOT, "ft", "ft foot feet"),
        ("[fth_i]", 6 * _FOOT, "fth", "fathom fathoms"),
        ("[yd_i]", 0.9144, "yd", "yd yard yards"),
        ("[mi_i]", _MILE, "mi", "mi mile miles"),
        ("[nmi_i]", 1852.0, "nmi", "nmi NM nauticalmile nauticalmiles"),
    ),
    "volume": (
        ("m3", 1.0, "m3", "cbm cubicmeter cubicmeters m**3"),
        ("L", 1e-3, "l", "l liter liters litre litres Ltr ltr"),
        ("dL", 1e-4, "dl", "dl"),
        ("cL", 1e-5, "cl", "cl"),
        ("mL", 1e-6, "ml", "ml milliliter milliliters millilitre"),
        ("hL", 0.1, "hl", "hl"),
        ("[cft_i]", _CUBIC_FOOT, "ft3", "ft3 cuft cf cubicfeet cubicfoot"),
        ("10*2.[cft_i]", 100 * _CUBIC_FOOT, "ccf", "CCF"),
        ("10*3.[cft_i]", 1000 * _CUBIC_FOOT, "mcf", "MCF"),
        ("[gal_us]", _GALLON, "gal", "gal gallon gallons USgal galUS"),
        ("[gal_br]", 4.54609e-3, "gal_imp", "galimp impgal galUK"),
        ("[foz_us]", _GALLON / 128, "fl_oz", "floz fl.oz."),
    ),
    "volume_flow": (
        ("m3/h", 1 / 3600, "m3_h", "m3h cbm/h m3/hr"),
        ("m3/s", 1.0, "m3_s", ""),
        ("m3/min", 1 / 60, "m3_min", ""),
        ("L/s", 1e-3, "l_s", "l/s lps"),
        ("L/min", 1e-3 / 60, "l_min", "l/min lpm L/m l/m liter/min"),
        ("L/h", 1e-3 / 3600, "l_h", "l/h lph l/hr liter/h lh"),
        ("mL/s", 1e-6, "ml_s", "ml/s"),
        ("mL/min", 1e-6 / 60, "ml_min", "ml/min"),
        ("[gal_us]/min", _GALLON / 60, "gal_min", "gal/min gpm"),
        ("[gal_us]/h", _GALLON / 3600, "gal_h", "gal/h gph"),
        ("[gal_us]/d", _GALLON / 86400, "gal_d", "gal/d"),
        ("[cft_i]/min", _CUBIC_FOOT / 60, "ft3_min", "ft3/min cfm"),
    ),
    "mass": (
        ("ug", 1e-9, "ug", "mcg"),
        ("mg", 1e-6, "mg", "milligram milligrams"),
        ("g", 1e-3, "g", "gram grams"),
        ("kg", 1.0, "kg", "kilogram kilograms kgs"),
        ("t", 1e3, "t", "tonne tonnes"),
        ("[lb_av]", _POUND, "lb", "lb lbs pound pounds"),
        ("[oz_av]", _POUND / 16, "oz", "oz ounce ounces"),
        ("[stone_av]", _POUND * 14, "st", "stone"),
    ),
    "voltage": (
        ("V", 1.0, "v", "v volt volts VDC VAC Vdc Vac Vrms"),
        ("uV", 1e-6, "uv", "uv microvolt"),
        ("mV", 1e-3, "mv", "mv millivolt millivolts mVDC"),
        ("kV", 1e3, "kv", "kv kilovolt"),
    ),
    "current": (
        ("A", 1.0, "a", "a amp amps ampere amperes Amp ADC AAC Arms"),
        ("uA", 1e-6, "ua", "ua microampere"),
        ("mA", 1e-3, "ma", "ma milliamp milliamps milliampere"),
        ("kA", 1e3, "ka", "ka"),
    ),
    "charge": (
        ("C", 1.0, "coulomb", "coulomb coulombs"),
        ("A.h", 3600.0, "ah", "Ah ah amphour amphours"),
        ("mA.h", 3.6, "mah", "mAh mah"),
    ),
    "resistance": (
        ("Ohm", 1.0, "ohm", "Ω ohms"),
        ("kOhm", 1e3, "kohm", "kΩ kohms"),
        ("MOhm", 1e6, "mohm", "MΩ"),
    ),
    "power": (
        ("W", 1.0, "w", "w watt watts"),
        ("uW", 1e-6, "uw", ""),
        ("mW", 1e-3, "mw", "milliwatt milliwatts"),
        ("kW", 1e3, "kw", "kw kilowatt kilowatts"),
        ("MW", 1e6, "megaw", "megawatt megawatts"),
        ("GW", 1e9, "gw", ""),
        ("[HP]", 745.6998715822702, "hp", "hp bhp horsepower"),
        ("[Btu_IT]/h", _BTU / 3600, "btu_h", "BTU/h"),
    ),
    "apparent_power": (
        ("V.A", 1.0, "va", "VA va voltampere"),
        ("kV.A", 1e3, "kva", "kVA kva"),
        ("MV.A", 1e6, "mva", "MVA"),
    ),
    "reactive_power": (
        ("V.A{reactive}", 1.0, "var", "var vars VA(r) voltamperereactive"),
        ("kV.A{reactive}", 1e3, "kvar", "kvar kVAr kVAR"),
        ("MV.A{reactive}", 1e6, "megavar", "Mvar MVAr MVAR"),
    ),
    "energy": (
        ("J", 1.0, "j", "j joule joules W.s Ws"),
        ("kJ", 1e3, "kj", "kj"),
        ("MJ", 1e6, "mj", "megajoule"),
        ("GJ", 1e9, "gj", "gigajoule"),
        ("W.min", 60.0, "wmin", "Wmin"),
        ("W.h", 3600.0, "wh", "Wh wh watthour watthours"),
        ("kW.h", 3.6e6, "kwh", "kWh kwh kilowatthour kilowatthours"),
        ("MW.h", 3.6e9, "megawh", "MWh"),
        ("GW.h", 3.6e12, "gwh", "GWh"),
        ("cal", 4.184, "cal", "calorie"),
        ("kcal", 4.184e3, "kcal", ""),
        ("Mcal", 4.184e6, "megacal", ""),
        ("Gcal", 4.184e9, "gcal", ""),
        ("[Btu_IT]", _BTU, "btu", "BTU"),
    ),
    "reactive_energy": (
        ("V.A.h{reactive}", 3600.0, "varh", "varh"),
        ("kV.A.h{reactive}", 3.6e6, "kvarh", "kvarh"),
        ("MV.A.h{reactive}", 3.6e9, "megavarh", "Mvarh MVArh"),
    ),
    "apparent_energy": (
        ("V.A.h", 3600.0, "vah", "VAh vah"),
        ("kV.A.h", 3.6e6, "kvah", "kVAh kvah"),
    ),
    "frequency": (
        ("Hz", 1.0, "hz", "hertz"),
        ("kHz", 1e3, "khz", "kilohertz"),
        ("MHz", 1e6, "mhz", "megahertz"),
        ("GHz", 1e9, "ghz", "gigahertz"),
    ),
    "rotation": (("{rev}/min", 1 / 60, "rpm", "rpm r/min rev/min U/min"),),
    "count_rate": (
        ("/min", 1 / 60, "cpm", "cpm CPM counts/min countsperminute pulses/min"),
        ("/s", 1.0, "cps", "cps CPS counts/s pulses/s"),
    ),
    "dose_rate": (
        ("Sv/h", 1 / 3600, "sv_h", ""),
        ("mSv/h", 1e-3 / 3600, "msv_h", "mSv/hr"),
        ("uSv/h", 1e-6 / 3600, "usv_h", "uSvh uSv/hr usievert/h"),
        ("nSv/h", 1e-9 / 3600, "nsv_h", "nSv/hr"),
    ),
    "activity_concentration": (
        ("Bq/m3", 1.0, "bq_m3", "Bqm3"),
        ("kBq/m3", 1e3, "kbq_m3", ""),
        ("pCi/L", 37.0, "pci_l", "pCi/l"),
    ),
    "conductivity": (
        ("uS/cm", 1e-4, "us_cm", "uScm microS/cm"),
        ("mS/cm", 0.1, "ms_cm", "dS/m"),
        ("mS/m", 1e-3, "ms_m", ""),
        ("S/m", 1.0, "s_m", ""),
        ("S/cm", 100.0, "s_cm", ""),
    ),
    "acidity": (("[pH]", 1.0, "ph", "pH"),),
    "level": (("dB", 1.0, "db", "db decibel decibels"),),
    "sound_pressure": (
        ("dB[SPL]", 1.0, "db", "dBSPL dB(SPL) dB_SPL"),
        ("dB[SPL]{A}", 1.0, "dba", "dBA dba dB(A) dB_A"),
    ),
    "signal_strength": (("dBm", 1.0, "dbm", "dbm dB(m) dBmW"),),
    "angle": (
        ("deg", math.pi / 180, "deg", "° degs degree degrees o ˚ arcdegree"),
        ("rad", 1.0, "rad", "radian radians"),
    ),
    "duration": (
        ("us", 1e-6, "us", "usec microsecond microseconds"),
        ("ms", 1e-3, "ms", "msec msecs millis millisecond milliseconds"),
        ("s", 1.0, "s", "sec Sec secs second seconds sek"),
        ("min", 60.0, "min", "Min mins minute minutes"),
        ("h", 3600.0, "h", "hr hrs hour hours"),
        ("d", 86400.0, "d", "day days"),
        ("wk", 604800.0, "wk", "week weeks"),
    ),
    "data_size": (
        ("bit", 0.125, "bit", "bits b"),
        ("kbit", 125.0, "kbit", "kb"),
        ("Mbit", 125e3, "mbit", "Mb"),
        ("Gbit", 125e6, "gbit", "Gb"),
        ("By", 1.0, "bytes", "B byte bytes"),
        ("kBy", 1e3, "kb", "kB KB kbyte kbytes kilobyte kilobytes"),
        ("MBy", 1e6, "mb", "MB Mbyte Mbytes megabyte megabytes"),
        ("GBy", 1e9, "gb", "GB Gbyte Gbytes gigabyte gigabytes"),
        ("TBy", 1e12, "tb", "TB Tbyte terabyte terabytes"),
        ("KiBy", 1024.0, "kib", "KiB kiB"),
        ("MiBy", 1024.0**2, "mib", "MiB"),
        ("GiBy", 1024.0**3, "gib", "GiB"),
        ("TiBy", 1024.0**4, "tib", "TiB"),
    ),
    "data_rate": (
        ("bit/s", 1.0, "bit_s", "bps bits/s b/s"),
        ("kbit/s", 1e3, "kbit_s", "kbps kb/s kbits/s"),
        ("Mbit/s", 1e6, "mbit_s", "Mbps Mb/s Mbits/s"),
        ("Gbit/s", 1e9, "gbit_s", "Gbps Gb/s"),
        ("By/s", 8.0, "bytes_s", "B/s bytes/s byte/s"),
        ("kBy/s", 8e3, "kb_s", "kB/s KB/s"),
        ("MBy/s", 8e6, "mb_s", "MB/s"),
        ("GBy/s", 8e9, "gb_s", "GB/s"),
        ("KiBy/s", 8192.0, "kib_s", "KiB/s"),
        ("MiBy/s", 8 * 1024.0**2, "mib_s", "MiB/s"),
    ),
}
